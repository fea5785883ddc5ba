/** The emoji that people use most, by subject. */
export const GROUPS: readonly { name: string; emoji: readonly string[] }[] = [
  {
    name: 'Faces',
    emoji:
      '😀 😃 😄 😁 😆 😅 😂 🤣 🙂 🙃 😉 😊 😇 🥰 😍 🤩 😘 😗 😋 😛 😜 🤪 🤗 🤭 🤫 🤔 🤐 😐 😑 😶 😏 😒 🙄 😬 😌 😔 😪 😴 😷 🤒 🤕 🤢 🤧 🥵 🥶 😵 🤯 🤠 🥳 😎 🤓 🧐 😕 😟 🙁 😮 😲 😳 🥺 😨 😰 😥 😢 😭 😱 😖 😞 😓 😩 😫 🥱 😤 😡 😠 😈 💀 💩 🤡 👻 👽 🤖'.split(
        ' ',
      ),
  },
  {
    name: 'Hands and hearts',
    emoji:
      '👋 🤚 ✋ 🖖 👌 🤏 ✌️ 🤞 🤟 🤘 🤙 👈 👉 👆 👇 ☝️ 👍 👎 ✊ 👊 👏 🙌 👐 🤲 🤝 🙏 ✍️ 💪 👀 🧠 ❤️ 🧡 💛 💚 💙 💜 🖤 🤍 🤎 💔 💕 💖 💯 💥 💫 💦'.split(
        ' ',
      ),
  },
  {
    name: 'Animals and nature',
    emoji:
      '🐶 🐱 🐭 🐰 🦊 🐻 🐼 🐨 🐯 🦁 🐮 🐷 🐸 🐵 🐔 🐧 🐦 🦉 🐝 🦋 🐢 🐍 🐙 🐬 🐳 🌵 🌲 🌴 🌱 🍀 🌷 🌹 🌻 🌞 🌙 ⭐ 🌈 ☀️ ⛅ 🌧️ ❄️ 🔥 🌊'.split(
        ' ',
      ),
  },
  {
    name: 'Food',
    emoji:
      '🍎 🍌 🍇 🍓 🍒 🍑 🍍 🥑 🍅 🌶️ 🌽 🥕 🥐 🍞 🧀 🥚 🍳 🥞 🍔 🍟 🍕 🌭 🌮 🥗 🍝 🍜 🍣 🍦 🍰 🎂 🍫 🍪 ☕ 🍵 🍺 🍷 🥂'.split(
        ' ',
      ),
  },
  {
    name: 'Things and signs',
    emoji:
      '🎉 🎊 🎈 🎁 🏆 ⚽ 🏀 🎮 🎵 🎸 🎨 📷 💡 📚 ✏️ 📌 📎 📅 ⏰ 🔔 🔒 🔑 🔧 💻 📱 ✉️ 📦 🚗 🚲 ✈️ 🚀 🏠 🏖️ 🗺️ ✅ ❌ ❓ ❗ ⚠️ ➕ 💬'.split(
        ' ',
      ),
  },
]
