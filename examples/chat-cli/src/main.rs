//! A chat in the terminal. `cargo run -p chat-cli -- --help`

mod app;
mod input;
mod screen;

use std::process::ExitCode;

use chat_client::{Client, Error, Options};
use clap::Parser;

use app::App;
use input::Keyboard;
use screen::Screen;

/// A chat in the terminal.
#[derive(Parser)]
#[command(
    version,
    after_help = "Once inside, /help tells what can be done. Ctrl-C or /quit leaves."
)]
struct Arguments {
    /// The server.
    #[arg(
        long,
        short,
        env = "CHAT_SERVER",
        default_value = "http://127.0.0.1:8000"
    )]
    server: String,
    /// Who you are; asked for when left out.
    #[arg(long, short, env = "CHAT_USER")]
    user: Option<String>,
    /// The password; asked for when left out. The environment is a safer place for it than this option.
    #[arg(long, env = "CHAT_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// Make a new account first.
    #[arg(long, short)]
    register: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (mut keyboard, mut screen) = match Keyboard::open() {
        Ok(opened) => opened,
        Err(error) => {
            Screen::plain().say(&format!("The terminal cannot be used: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match run(arguments, &mut keyboard, &mut screen).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            screen.error(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

async fn run(
    arguments: Arguments,
    keyboard: &mut Keyboard,
    screen: &mut Screen,
) -> Result<(), Error> {
    let user = match arguments.user {
        Some(user) => user,
        None => match keyboard.ask("User: ", false).await {
            Some(user) => user.trim().to_owned(),
            None => return Ok(()),
        },
    };
    let password = match arguments.password {
        Some(password) => password,
        None => match keyboard.ask("Password: ", true).await {
            Some(password) => password,
            None => return Ok(()),
        },
    };
    if arguments.register {
        chat_client::register(&arguments.server, &user, &password).await?;
    }
    let options = Options::new(arguments.server).password(user.clone(), password);
    let (client, events) = Client::connect(options).await?;
    let mut app = App::new(client, user, screen);
    app.run(events, keyboard).await
}
