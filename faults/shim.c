/*
 * A disk that can be cut off, for tests: preloaded into a process, it keeps beside a folder what of it would be there after
 * the power went out, and lets syncs and writes fail where it is told to.
 *
 * What is written to the folder goes there as usual, and waits here in order until a sync covers it. `fsync` and `fdatasync`
 * of a file cover what was written to that file before, never its name; of a folder, the names made, taken and removed in
 * that folder. `sync_file_range` covers nothing. The real syncs are not called: the process ends, not the machine.
 *
 * Everything is counted under one lock, so the same calls in the same order are cut at the same place. Numbers come from the
 * environment; 0 or nothing means "never":
 *
 *   CHAT_CUT_FOLDER   the folder, absolute and without links
 *   CHAT_CUT_SHADOW   an existing empty folder: `kept/` in it becomes what the power cut left. While a file `broken` stands
 *                     in it, every sync fails
 *   CHAT_CUT_AT       the power is cut instead of the n-th operation (a write, a sync, or a change of names) …
 *   CHAT_CUT_OF       … on paths that end with this. With one of the two faults below, counting begins with the fault
 *   CHAT_CUT_KILL     1: the process ends there, but the power stays: who runs next with the same folders goes on where this
 *                     one ended, with all that waits for a sync
 *   CHAT_CUT_KEEP     percent of what no sync covered that survives nevertheless, in pieces of CHAT_CUT_PIECE bytes (512 or
 *                     4096) chosen by CHAT_CUT_SEED: disks write in any order, and half
 *   CHAT_CUT_EIO      the n-th sync fails with EIO, and what it should have covered never reaches the disk, while it can be
 *                     read until the cut: so does Linux
 *   CHAT_CUT_FULL, CHAT_CUT_SPACE   from the n-th write on so many writes fail with ENOSPC; all with CHAT_CUT_SPACE=0
 *   CHAT_CUT_LIE      every n-th sync returns 0 and covers nothing
 *   CHAT_CUT_TRACE    1 tells every operation on standard error
 *
 * It says what it cannot follow and ends the process with status 98, so that nothing slips past it: shared maps for writing
 * (but of SQLite's `-shm`, which nobody reads after a crash), O_SYNC, O_TMPFILE, renames between folders, holes. A raw system
 * call slips past; the test that keeps everything and compares finds that.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
enum { CUT = 99, LOST_TRACK = 98, PAGE = 4096 };

/* What was done to a file and is on no disk yet. */
struct change {
    struct change *next;
    int truncate;  /* to `at` bytes; else `len` bytes at `at`, whole pages as they stood after the write */
    off_t at;
    size_t len;
    char bytes[];
};

/* A file or folder, by whatever name. What of a file is on disk stands in SHADOW/files/<id>. */
struct object {
    struct object *next;
    dev_t dev;
    ino_t ino;
    int id, folder;
    char *path;  /* its latest name, relative to FOLDER; "" is FOLDER itself */
    struct change *first, **end;
};

/* A name that stands on disk. */
struct name {
    struct name *next;
    char *path;
    struct object *object;
};

/* A change of names that is on no disk yet. */
struct naming {
    struct naming *next;
    char *gone;  /* this name goes away, … */
    char *made;  /* … this one comes to be, at once */
    struct object *object;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char folder[PATH_MAX], shadow[PATH_MAX];
static size_t folder_len;
static struct object *_Atomic objects;  /* only ever grows at its head: may be walked without the lock */
static struct name *names;
static struct naming *namings, **namings_end = &namings;
static long cut_at, eio_at, full_at, space_after, lie_each, keep, piece;
static const char *cut_of = "";
static uint64_t seed;
static long operations, syncs, writes;
static int next_id, trace, kill_only;

static void lost_track(const char *what, const char *path)
{
    dprintf(2, "the shim cannot follow %s of %s\n", what, path);
    _exit(LOST_TRACK);
}

static void must(int good, const char *what)
{
    if (!good) {
        dprintf(2, "the shim failed: %s: %s\n", what, strerror(errno));
        _exit(LOST_TRACK);
    }
}

static void *room(size_t size)
{
    void *got = calloc(1, size);
    must(got != NULL, "memory");
    return got;
}

static char *copy_of(const char *text)
{
    return strcpy(room(strlen(text) + 1), text);
}

/* SplitMix64. */
static uint64_t chance(void)
{
    uint64_t z = (seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int survives(void)
{
    return (long)(chance() % 100) < keep;
}

/* The system's own calls: the names of the C library are ours here. */
static int sys_open(int at, const char *path, int flags, mode_t mode)
{
    return (int)syscall(SYS_openat, at, path, flags, mode);
}

static ssize_t sys_pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    return syscall(SYS_pwrite64, fd, bytes, len, at);
}

static int disk(const struct object *object)
{
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/files/%d", shadow, object->id);
    int fd = sys_open(AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    must(fd >= 0, path);
    return fd;
}

/* The folder that a name stands in has this path. */
static int stands_in(const char *path, const char *parent)
{
    size_t len = strlen(parent);
    if (len == 0)
        return strchr(path, '/') == NULL;
    return strncmp(path, parent, len) == 0 && path[len] == '/' && strchr(path + len + 1, '/') == NULL;
}

static struct object *find(const struct stat *stat)
{
    for (struct object *o = objects; o; o = o->next)
        if (o->ino == stat->st_ino && o->dev == stat->st_dev)
            return o;
    return NULL;
}

static struct object *of_fd(int fd)
{
    struct stat stat;
    int before = errno;
    struct object *found = folder_len && fstat(fd, &stat) == 0 ? find(&stat) : NULL;
    errno = before;
    return found;
}

static struct object *new_object(const struct stat *stat, const char *path)
{
    struct object *o = room(sizeof *o);
    o->dev = stat->st_dev;
    o->ino = stat->st_ino;
    o->id = ++next_id;
    o->folder = S_ISDIR(stat->st_mode);
    o->path = copy_of(path);
    o->end = &o->first;
    /* In front of one that was removed and had the same number. */
    o->next = objects;
    objects = o;
    if (!o->folder)
        syscall(SYS_close, disk(o));
    return o;
}

static void name_on_disk(const char *gone, const char *made, struct object *object)
{
    for (struct name **at = &names; *at;) {
        struct name *name = *at;
        if ((gone && !strcmp(name->path, gone)) || (made && !strcmp(name->path, made))) {
            *at = name->next;
            free(name->path);
            free(name);
        } else {
            at = &name->next;
        }
    }
    if (made) {
        struct name *name = room(sizeof *name);
        name->path = copy_of(made);
        name->object = object;
        name->next = names;
        names = name;
    }
}

static void name_later(const char *gone, const char *made, struct object *object)
{
    struct naming *naming = room(sizeof *naming);
    naming->gone = gone ? copy_of(gone) : NULL;
    naming->made = made ? copy_of(made) : NULL;
    naming->object = object;
    *namings_end = naming;
    namings_end = &naming->next;
}

static void sync_names(const char *parent)
{
    for (struct naming **at = &namings; *at;) {
        struct naming *naming = *at;
        if (stands_in(naming->made ? naming->made : naming->gone, parent)) {
            name_on_disk(naming->gone, naming->made, naming->object);
            *at = naming->next;
            free(naming->gone);
            free(naming->made);
            free(naming);
        } else {
            at = &naming->next;
        }
    }
    for (namings_end = &namings; *namings_end;)
        namings_end = &(*namings_end)->next;
}

static void change_later(struct object *object, struct change *change)
{
    *object->end = change;
    object->end = &change->next;
}

static void truncate_later(struct object *object, off_t size)
{
    struct change *change = room(sizeof *change);
    change->truncate = 1;
    change->at = size;
    change_later(object, change);
}

/* Remembers the pages that a write touched, as they are now. */
static void write_later(struct object *object, int fd, off_t at, size_t len)
{
    off_t start = at & ~(off_t)(PAGE - 1);
    size_t want = ((size_t)(at - start) + len + PAGE - 1) & ~(size_t)(PAGE - 1);
    struct change *change = room(sizeof *change + want);
    char path[64];
    change->at = start;
    ssize_t got = syscall(SYS_pread64, fd, change->bytes, want, start);
    if (got < 0 && errno == EBADF) {
        /* Opened for writing only. */
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        int again = sys_open(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
        must(again >= 0, path);
        got = syscall(SYS_pread64, again, change->bytes, want, start);
        syscall(SYS_close, again);
    }
    must(got >= (ssize_t)((size_t)(at - start) + len), "reading back what was written");
    change->len = (size_t)got;
    change_later(object, change);
}

static void forget_changes(struct object *object, int truncations_too)
{
    struct change *change = object->first, *next;
    object->first = NULL;
    object->end = &object->first;
    for (; change; change = next) {
        next = change->next;
        change->next = NULL;
        if (change->truncate && !truncations_too)
            change_later(object, change);
        else
            free(change);
    }
}

/* Brings the changes of a file to its place on disk: all, or at a cut what survives of them. */
static void write_out(struct object *object, int all)
{
    if (!object->first)
        return;
    int fd = disk(object);
    for (struct change *c = object->first; c; c = c->next) {
        if (c->truncate) {
            if (all || survives())
                must(syscall(SYS_ftruncate, fd, c->at) == 0, "truncating");
            continue;
        }
        size_t step = all ? c->len : (size_t)piece;
        for (size_t done = 0; done < c->len; done += step) {
            size_t len = c->len - done < step ? c->len - done : step;
            if (all || survives())
                must(sys_pwrite(fd, c->bytes + done, len, c->at + (off_t)done) == (ssize_t)len, "writing");
        }
    }
    syscall(SYS_close, fd);
    forget_changes(object, 1);
}

/* What a killed process leaves to the next one, or what it found: put(…) and get(…) in the same order. */
static FILE *state;
static void put(const void *bytes, size_t len) { must(fwrite(bytes, 1, len, state) == len, "leaving the state"); }
static void get(void *bytes, size_t len) { must(fread(bytes, 1, len, state) == len, "finding the state"); }

static void put_text(const char *text)
{
    size_t len = text ? strlen(text) + 1 : 0;
    put(&len, sizeof len);
    put(text, len);
}

static char *get_text(void)
{
    size_t len;
    get(&len, sizeof len);
    char *text = len ? room(len) : NULL;
    get(text, len);
    return text;
}

static struct object *by_id(int id)
{
    struct object *o = objects;
    while (o && o->id != id)
        o = o->next;
    return o;
}

static void leave(void)
{
    struct object none = { 0 };
    struct change end = { .truncate = -1 };
    put(&next_id, sizeof next_id);
    for (struct object *o = objects; o; o = o->next) {
        put(o, sizeof *o);
        put_text(o->path);
        for (struct change *c = o->first; c; c = c->next)
            put(c, sizeof *c + c->len);
        put(&end, sizeof end);
    }
    put(&none, sizeof none);
    for (struct name *n = names; n; n = n->next) {
        put_text(n->path);
        put(&n->object->id, sizeof n->object->id);
    }
    put_text(NULL);
    for (struct naming *n = namings; n; n = n->next) {
        put_text(n->gone);
        put_text(n->made);
        put(n->object ? &n->object->id : &none.id, sizeof none.id);
    }
    put_text(NULL);
    put_text(NULL);
    must(fclose(state) == 0, "leaving the state");
}

static void go_on(void)
{
    struct object found, *last = NULL;
    struct change change;
    get(&next_id, sizeof next_id);
    for (get(&found, sizeof found); found.id; get(&found, sizeof found)) {
        struct object *o = room(sizeof *o);
        *o = found;
        o->path = get_text();
        o->first = NULL;
        o->end = &o->first;
        for (get(&change, sizeof change); change.truncate >= 0; get(&change, sizeof change)) {
            struct change *copy = room(sizeof *copy + change.len);
            *copy = change;
            copy->next = NULL;
            get(copy->bytes, change.len);
            change_later(o, copy);
        }
        o->next = NULL;
        if (last)
            last->next = o;
        else
            objects = o;
        last = o;
    }
    char *gone, *made;
    int id;
    while ((made = get_text())) {
        get(&id, sizeof id);
        name_on_disk(NULL, made, by_id(id));
        free(made);
    }
    while (gone = get_text(), made = get_text(), gone || made) {
        get(&id, sizeof id);
        name_later(gone, made, by_id(id));
    }
    fclose(state);
}

/* The power goes: makes SHADOW/kept of what is on disk, and ends the process. The lock is never let go. */
static void cut(void)
{
    char kept[PATH_MAX + 16];
    snprintf(kept, sizeof kept, "%s/state", shadow);
    if (kill_only) {
        state = fopen(kept, "we");
        must(state != NULL, kept);
        leave();
        _exit(CUT);
    }
    if (keep > 0) {
        /* A journal keeps the order of names, so a part of them from the first on survives. */
        long count = 0;
        for (struct naming *n = namings; n; n = n->next)
            count++;
        count = keep >= 100 ? count : (long)(chance() % (uint64_t)(count + 1));
        for (struct naming *n = namings; n && count > 0; n = n->next, count--)
            name_on_disk(n->gone, n->made, n->object);
        for (struct object *o = objects; o; o = o->next)
            write_out(o, keep >= 100);
    }
    char from[PATH_MAX + 32], to[PATH_MAX * 2];
    snprintf(to, sizeof to, "%s/kept", shadow);
    must(syscall(SYS_mkdirat, AT_FDCWD, to, 0700) == 0, to);
    /* Folders first, each after the one it stands in; what stands in none that is on disk is lost. */
    for (int more = 1; more;) {
        more = 0;
        for (struct name *n = names; n; n = n->next) {
            snprintf(to, sizeof to, "%s/kept/%s", shadow, n->path);
            if (n->object->folder && syscall(SYS_mkdirat, AT_FDCWD, to, 0700) == 0)
                more = 1;
        }
    }
    for (struct name *n = names; n; n = n->next) {
        if (n->object->folder)
            continue;
        snprintf(from, sizeof from, "%s/files/%d", shadow, n->object->id);
        snprintf(to, sizeof to, "%s/kept/%s", shadow, n->path);
        must(syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0) == 0 || errno == ENOENT, to);
    }
    /* Time for readers to tell what they can read though it is on no disk. It only helps to find faults. */
    struct timespec moment = { 0, 10 * 1000 * 1000 };
    nanosleep(&moment, NULL);
    _exit(CUT);
}

/* Before anything is done to the folder: perhaps nothing is done any more. */
static void operation(const char *what, const char *path)
{
    if (trace)
        dprintf(2, "%s %s\n", what, path);
    size_t len = strlen(path), end = strlen(cut_of);
    if (syncs < eio_at || writes + 1 < full_at)
        return;
    if (len >= end && !strcmp(path + len - end, cut_of) && ++operations == cut_at)
        cut();
}

/* Whether the disk has room for a write; counts it. */
static int fits(const char *what, const char *path)
{
    operation(what, path);
    ++writes;
    if (full_at && writes >= full_at && (!space_after || writes < full_at + space_after)) {
        errno = ENOSPC;
        return 0;
    }
    return 1;
}

static int sync_fd(int fd)
{
    pthread_mutex_lock(&lock);
    struct object *object = of_fd(fd);
    int result = 0;
    if (object) {
        char broken[PATH_MAX + 16];
        snprintf(broken, sizeof broken, "%s/broken", shadow);
        operation("sync", object->path);
        ++syncs;
        if (syncs == eio_at || syscall(SYS_faccessat, AT_FDCWD, broken, F_OK) == 0) {
            /* The data is dropped; sizes and names stand in the journal and are covered by the next sync. */
            forget_changes(object, 0);
            errno = EIO;
            result = -1;
        } else if (lie_each && syncs % lie_each == 0) {
            /* Covers nothing. */
        } else if (object->folder) {
            sync_names(object->path);
        } else {
            write_out(object, 1);
        }
    } else {
        result = (int)syscall(SYS_fsync, fd);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

EXPORT int fsync(int fd) { return sync_fd(fd); }
EXPORT int fdatasync(int fd) { return sync_fd(fd); }
EXPORT int sync_file_range(int fd, off64_t at, off64_t len, unsigned flags)
{
    (void)fd, (void)at, (void)len, (void)flags;
    return 0;
}

/* At a place, or at the file's own with `at` -1. */
static ssize_t written(int fd, const struct iovec *parts, int count, off_t at)
{
    struct object *object = of_fd(fd);
    if (!object)
        return at < 0 ? syscall(SYS_writev, fd, parts, count) : syscall(SYS_pwritev, fd, parts, count, at, 0L);
    pthread_mutex_lock(&lock);
    ssize_t got = -1;
    if (fits("write", object->path)) {
        got = at < 0 ? syscall(SYS_writev, fd, parts, count) : syscall(SYS_pwritev, fd, parts, count, at, 0L);
        if (got > 0)
            write_later(object, fd, at < 0 ? lseek(fd, 0, SEEK_CUR) - got : at, (size_t)got);
    }
    pthread_mutex_unlock(&lock);
    return got;
}

EXPORT ssize_t write(int fd, const void *bytes, size_t len)
{
    struct iovec part = { (void *)bytes, len };
    return written(fd, &part, 1, -1);
}
EXPORT ssize_t writev(int fd, const struct iovec *parts, int count) { return written(fd, parts, count, -1); }
EXPORT ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
    struct iovec part = { (void *)bytes, len };
    return written(fd, &part, 1, at);
}
EXPORT ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at) { return pwrite64(fd, bytes, len, at); }
EXPORT ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) { return written(fd, parts, count, at); }
EXPORT ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) { return written(fd, parts, count, at); }
EXPORT ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t at, int flags)
{
    struct object *object = of_fd(fd);
    if (object && flags)
        lost_track("flags of a write", object->path);
    return written(fd, parts, count, at);
}
EXPORT ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off64_t at, int flags)
{
    return pwritev2(fd, parts, count, at, flags);
}

EXPORT int ftruncate64(int fd, off64_t size)
{
    struct object *object = of_fd(fd);
    if (!object)
        return (int)syscall(SYS_ftruncate, fd, size);
    pthread_mutex_lock(&lock);
    struct stat stat;
    int result = -1;
    must(fstat(fd, &stat) == 0, "fstat");
    /* To shrink needs no room. */
    if (size > stat.st_size ? fits("extend", object->path) : (operation("shorten", object->path), 1)) {
        result = (int)syscall(SYS_ftruncate, fd, size);
        if (result == 0)
            truncate_later(object, size);
    }
    pthread_mutex_unlock(&lock);
    return result;
}
EXPORT int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

EXPORT int fallocate64(int fd, int mode, off64_t at, off64_t len)
{
    struct object *object = of_fd(fd);
    if (!object)
        return (int)syscall(SYS_fallocate, fd, mode, at, len);
    if (mode != 0)
        lost_track("fallocate with a mode", object->path);
    pthread_mutex_lock(&lock);
    struct stat stat;
    int result = -1;
    must(fstat(fd, &stat) == 0, "fstat");
    if (fits("extend", object->path)) {
        result = (int)syscall(SYS_fallocate, fd, mode, at, len);
        if (result == 0 && at + len > stat.st_size)
            truncate_later(object, at + len);
    }
    pthread_mutex_unlock(&lock);
    return result;
}
EXPORT int fallocate(int fd, int mode, off_t at, off_t len) { return fallocate64(fd, mode, at, len); }
EXPORT int posix_fallocate64(int fd, off64_t at, off64_t len)
{
    int before = errno;
    int result = fallocate64(fd, 0, at, len) == 0 ? 0 : errno;
    errno = before;
    return result;
}
EXPORT int posix_fallocate(int fd, off_t at, off_t len) { return posix_fallocate64(fd, at, len); }

EXPORT void *mmap64(void *where, size_t len, int protection, int flags, int fd, off64_t at)
{
    int type = flags & MAP_TYPE;
    if (fd >= 0 && !(flags & MAP_ANONYMOUS) && type != MAP_PRIVATE && (protection & PROT_WRITE)) {
        struct object *object = of_fd(fd);
        size_t end = object ? strlen(object->path) : 0;
        if (object && (end < 4 || strcmp(object->path + end - 4, "-shm")))
            lost_track("a shared map for writing", object->path);
    }
    return (void *)syscall(SYS_mmap, where, len, protection, flags, fd, at);
}
EXPORT void *mmap(void *where, size_t len, int protection, int flags, int fd, off_t at)
{
    return mmap64(where, len, protection, flags, fd, at);
}

EXPORT ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t len, unsigned flags)
{
    if (of_fd(out))
        lost_track("copy_file_range", of_fd(out)->path);
    return syscall(SYS_copy_file_range, in, from, out, to, len, flags);
}
EXPORT ssize_t sendfile64(int out, int in, off64_t *from, size_t len)
{
    if (of_fd(out))
        lost_track("sendfile", of_fd(out)->path);
    return syscall(SYS_sendfile, out, in, from, len);
}
EXPORT ssize_t sendfile(int out, int in, off_t *from, size_t len) { return sendfile64(out, in, from, len); }

/* The path within the folder, or NULL for one outside. Only the last name may be one that does not exist. */
static const char *within(int at, const char *path, char full[PATH_MAX * 2])
{
    char plain[PATH_MAX * 2], base[PATH_MAX], link[64];
    if (!folder_len || !path || strlen(path) >= PATH_MAX)
        return NULL;
    if (path[0] == '/' || at == AT_FDCWD) {
        snprintf(plain, sizeof plain, "%s", path);
    } else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", at);
        ssize_t len = readlink(link, base, sizeof base - 1);
        if (len < 0)
            return NULL;
        base[len] = 0;
        snprintf(plain, sizeof plain, "%s/%s", base, path);
    }
    for (size_t end = strlen(plain); end > 1 && plain[end - 1] == '/';)
        plain[--end] = 0;
    char *slash = strrchr(plain, '/');
    const char *last = slash ? slash + 1 : plain;
    char name[NAME_MAX + 1];
    if (strlen(last) > NAME_MAX)
        return NULL;
    strcpy(name, last);
    if (slash == plain)
        slash[1] = 0;
    else if (slash)
        *slash = 0;
    if (!realpath(slash ? plain : ".", full))
        return NULL;
    size_t len = strlen(full);
    snprintf(full + len, (size_t)PATH_MAX * 2 - len, "/%s", name);
    if (strncmp(full, folder, folder_len) || full[folder_len] != '/')
        return NULL;
    return full + folder_len + 1;
}

static int opened(int at, const char *path, int flags, mode_t mode)
{
    char full[PATH_MAX * 2];
    int temporary = (flags & O_TMPFILE) == O_TMPFILE, before = errno;
    if (!(flags & (O_CREAT | O_TRUNC | O_DSYNC | O_SYNC)) && !temporary)
        return sys_open(at, path, flags, mode);
    const char *inside = within(at, path, full);
    errno = before;
    if (!inside)
        return sys_open(at, path, flags, mode);
    if (temporary)
        lost_track("O_TMPFILE", inside);
    if (flags & (O_DSYNC | O_SYNC))
        lost_track("O_SYNC", inside);
    pthread_mutex_lock(&lock);
    struct stat stat;
    int is_new = lstat(full, &stat) != 0, fd = -1;
    errno = before;
    if (is_new ? !(flags & O_CREAT) || fits("make", inside) : !(flags & O_TRUNC) || (operation("empty", inside), 1))
        fd = sys_open(at, path, flags, mode);
    if (fd >= 0 && fstat(fd, &stat) == 0) {
        if (is_new)
            name_later(NULL, inside, new_object(&stat, inside));
        else if (flags & O_TRUNC)
            truncate_later(find(&stat), 0);
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

#define MODE(flags, mode) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = (mode_t)va_arg(rest, int); \
        va_end(rest); \
    }

EXPORT int open(const char *path, int flags, ...) { MODE(flags, mode) return opened(AT_FDCWD, path, flags, mode); }
EXPORT int open64(const char *path, int flags, ...) { MODE(flags, mode) return opened(AT_FDCWD, path, flags, mode); }
EXPORT int openat(int at, const char *path, int flags, ...) { MODE(flags, mode) return opened(at, path, flags, mode); }
EXPORT int openat64(int at, const char *path, int flags, ...) { MODE(flags, mode) return opened(at, path, flags, mode); }
EXPORT int __open_2(const char *path, int flags) { return opened(AT_FDCWD, path, flags, 0); }
EXPORT int __open64_2(const char *path, int flags) { return opened(AT_FDCWD, path, flags, 0); }
EXPORT int __openat_2(int at, const char *path, int flags) { return opened(at, path, flags, 0); }
EXPORT int __openat64_2(int at, const char *path, int flags) { return opened(at, path, flags, 0); }
EXPORT int creat(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
EXPORT int creat64(const char *path, mode_t mode) { return creat(path, mode); }

static int removed(int at, const char *path, int flags)
{
    char full[PATH_MAX * 2];
    const char *inside = within(at, path, full);
    if (!inside)
        return (int)syscall(SYS_unlinkat, at, path, flags);
    pthread_mutex_lock(&lock);
    operation("remove", inside);
    int result = (int)syscall(SYS_unlinkat, at, path, flags);
    if (result == 0)
        name_later(inside, NULL, NULL);
    pthread_mutex_unlock(&lock);
    return result;
}

EXPORT int unlink(const char *path) { return removed(AT_FDCWD, path, 0); }
EXPORT int unlinkat(int at, const char *path, int flags) { return removed(at, path, flags); }
EXPORT int rmdir(const char *path) { return removed(AT_FDCWD, path, AT_REMOVEDIR); }
EXPORT int remove(const char *path)
{
    struct stat stat;
    return removed(AT_FDCWD, path, lstat(path, &stat) == 0 && S_ISDIR(stat.st_mode) ? AT_REMOVEDIR : 0);
}

static int moved(int from_at, const char *from, int to_at, const char *to, unsigned flags)
{
    char full_from[PATH_MAX * 2], full_to[PATH_MAX * 2];
    const char *old = within(from_at, from, full_from), *new = within(to_at, to, full_to);
    if (!old && !new)
        return (int)syscall(SYS_renameat2, from_at, from, to_at, to, flags);
    const char *slash = old ? strrchr(old, '/') : NULL;
    size_t parent = slash ? (size_t)(slash - old) : 0;
    if (!old || !new || flags || strncmp(old, new, parent) || (parent && new[parent] != '/') ||
        strchr(new + parent + (parent > 0), '/'))
        lost_track("a rename", old ? old : new);
    pthread_mutex_lock(&lock);
    operation("rename to", new);
    struct stat stat;
    must(lstat(full_from, &stat) == 0 || errno == ENOENT, full_from);
    int result = (int)syscall(SYS_renameat2, from_at, from, to_at, to, flags);
    if (result == 0) {
        struct object *object = find(&stat);
        if (!object || object->folder)
            lost_track("the rename of a folder", old);
        object->path = copy_of(new);
        name_later(old, new, object);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

EXPORT int rename(const char *from, const char *to) { return moved(AT_FDCWD, from, AT_FDCWD, to, 0); }
EXPORT int renameat(int from_at, const char *from, int to_at, const char *to) { return moved(from_at, from, to_at, to, 0); }
EXPORT int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags)
{
    return moved(from_at, from, to_at, to, flags);
}

/* A new name: a folder's, or one more of a file. */
static int made(const char *inside, const char *full, int result)
{
    struct stat stat;
    if (result == 0) {
        must(lstat(full, &stat) == 0, full);
        struct object *object = find(&stat);
        name_later(NULL, inside, object && !S_ISDIR(stat.st_mode) ? object : new_object(&stat, inside));
    }
    pthread_mutex_unlock(&lock);
    return result;
}

EXPORT int mkdirat(int at, const char *path, mode_t mode)
{
    char full[PATH_MAX * 2];
    const char *inside = within(at, path, full);
    if (!inside)
        return (int)syscall(SYS_mkdirat, at, path, mode);
    pthread_mutex_lock(&lock);
    return made(inside, full, fits("make", inside) ? (int)syscall(SYS_mkdirat, at, path, mode) : -1);
}
EXPORT int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

EXPORT int linkat(int from_at, const char *from, int to_at, const char *to, int flags)
{
    char full_from[PATH_MAX * 2], full[PATH_MAX * 2];
    const char *old = within(from_at, from, full_from), *inside = within(to_at, to, full);
    if (!old && !inside)
        return (int)syscall(SYS_linkat, from_at, from, to_at, to, flags);
    if (!old || !inside)
        lost_track("a link", to);
    pthread_mutex_lock(&lock);
    return made(inside, full, fits("link", inside) ? (int)syscall(SYS_linkat, from_at, from, to_at, to, flags) : -1);
}
EXPORT int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

/* What is there when the process begins is on disk. */
static void take_over(const char *path)
{
    char full[PATH_MAX * 2], inner[PATH_MAX * 2];
    struct stat stat;
    snprintf(full, sizeof full, "%s/%s", folder, path);
    must(lstat(full, &stat) == 0, full);
    struct object *object = new_object(&stat, path);
    if (*path)
        name_on_disk(NULL, path, object);
    if (object->folder) {
        DIR *list = opendir(full);
        must(list != NULL, full);
        for (struct dirent *entry; (entry = readdir(list));) {
            if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
                continue;
            snprintf(inner, sizeof inner, "%s%s%s", path, *path ? "/" : "", entry->d_name);
            take_over(inner);
        }
        closedir(list);
        return;
    }
    int from = sys_open(AT_FDCWD, full, O_RDONLY | O_CLOEXEC, 0), to = disk(object);
    must(from >= 0, full);
    for (off_t left = stat.st_size; left > 0;) {
        ssize_t got = syscall(SYS_sendfile, to, from, NULL, (size_t)left);
        must(got > 0, full);
        left -= got;
    }
    syscall(SYS_close, from);
    syscall(SYS_close, to);
}

static long number(const char *name)
{
    const char *text = getenv(name);
    return text ? atol(text) : 0;
}

__attribute__((constructor)) static void begin(void)
{
    char files[PATH_MAX + 16];
    const char *given = getenv("CHAT_CUT_FOLDER"), *beside = getenv("CHAT_CUT_SHADOW"), *of = getenv("CHAT_CUT_OF");
    const char *from = getenv("CHAT_CUT_SEED");
    if (!given || !beside)
        return;
    must(strlen(given) < PATH_MAX && strlen(beside) < PATH_MAX, "paths");
    strcpy(folder, given);
    strcpy(shadow, beside);
    cut_at = number("CHAT_CUT_AT");
    cut_of = of ? copy_of(of) : "";
    keep = number("CHAT_CUT_KEEP");
    piece = number("CHAT_CUT_PIECE");
    if (piece < 512)
        piece = 512;
    seed = from ? strtoull(from, NULL, 10) : 0;
    eio_at = number("CHAT_CUT_EIO");
    full_at = number("CHAT_CUT_FULL");
    space_after = number("CHAT_CUT_SPACE");
    lie_each = number("CHAT_CUT_LIE");
    kill_only = number("CHAT_CUT_KILL") != 0;
    trace = number("CHAT_CUT_TRACE") != 0;
    snprintf(files, sizeof files, "%s/state", shadow);
    state = fopen(files, "re");
    if (state) {
        go_on();
    } else {
        snprintf(files, sizeof files, "%s/files", shadow);
        must(syscall(SYS_mkdirat, AT_FDCWD, files, 0700) == 0, files);
        take_over("");
    }
    folder_len = strlen(folder);
}
