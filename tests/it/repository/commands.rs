//! The commands that the documentation, the help and the messages show: the grammar of the command line accepts them.

use std::path::Path;

use clap::error::ErrorKind;
use regex::Regex;

use super::messages::{files, literals, program};
use super::pages::{divided, pages};

/// The words of the shell command at the beginning of a text, to its end or to the next command.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '#') if word.is_none() => break,
            (None, '>') => {
                // The number of a stream that is redirected.
                word.take_if(|word| word.chars().all(|c| c.is_ascii_digit()));
                break;
            }
            (None, ';' | '|' | '&' | ')' | '\n') => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// A line of a script, with a value for each of its variables.
fn with_values(line: &str) -> String {
    let variable = Regex::new(r#""?\$\([^()]*\)"?|\$\{?\w+\}?"#).unwrap();
    variable.replace_all(&line.replace("\"$@\"", ""), "1").into_owned()
}

/// The problem that the grammar of `teeter` or `teeterd` has with a command; `None` if it accepts the command.
fn refused(words: &[String]) -> Option<clap::Error> {
    let grammar = match words[0].as_str() {
        "teeter" => teeter::cli::command(),
        "teeterd" => teeter::daemon::command(),
        other => panic!("{other} is no program of teeter"),
    };
    let ended = grammar.try_get_matches_from(words).err();
    ended.filter(|error| !matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion))
}

#[test]
fn commands_in_blocks_of_the_pages_are_understood() {
    let call =
        Regex::new(r#"(?m)(?:^|^\$ |[(|;&{"]|: |- )\s*(?:sudo (?:-b )?|exec )?(?:/usr/bin/)?(teeterd?(?: .*)?)$"#)
            .unwrap();
    let commands = Regex::new(r"^teeterd? ([a-z-]+|--[a-z]+)").unwrap();
    let (mut read, mut wrong) = (0, Vec::new());
    for page in pages() {
        let (_, blocks) = divided(&std::fs::read_to_string(&page).unwrap());
        for (language, code) in blocks {
            if !["sh", "bash", "console", "yaml", ""].contains(&language.as_str()) {
                continue;
            }
            let shell = ["sh", "bash", "console"].contains(&language.as_str());
            let code = code.lines().filter(|line| !line.trim_start().starts_with('#'));
            let code = code.map(with_values).fold(String::new(), |all, line| all + &line + "\n");
            for found in call.captures_iter(&code.replace("\\\n", " ")) {
                let words = words(&found[1]);
                // A configuration also names the program in texts.
                if !shell && !commands.is_match(&found[1]) {
                    continue;
                }
                read += 1;
                wrong.extend(refused(&words).map(|error| format!("{}: {}\n{error}", page.display(), &found[1])));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(read > 40, "only {read} commands were found");
}

#[test]
fn commands_in_the_help_are_understood() {
    let help = teeter::cli::command();
    let texts = help.get_subcommands().filter_map(|command| Some(command.get_after_help()?.to_string()));
    let texts: Vec<String> = texts.collect();
    let lines = texts.iter().flat_map(|text| text.lines()).filter_map(|line| line.strip_prefix("  teeter "));
    let mut read = 0;
    for line in lines {
        // What follows two blanks explains the command.
        let command = line.split("  ").next().unwrap_or_default();
        let words = words(&format!("teeter {command}"));
        read += 1;
        assert!(refused(&words).is_none(), "{words:?}: {:?}", refused(&words));
    }
    assert!(read > 20, "only {read} commands were found");
}

/// The problem with a command of a sentence, with a value for each of its capitals; `None` if it is understood. It may be
/// incomplete: a sentence often names only the part that matters.
fn misnamed(command: &str) -> Option<String> {
    let optional = Regex::new(r"[\[\]…]").unwrap();
    let choice = Regex::new(r"\\?\|[^ ]+").unwrap();
    let plain = optional.replace_all(command, "");
    let mut plain = choice.replace_all(&plain, "").into_owned();
    for (capitals, value) in
        [("RUN|N|MEMBER|LINE", "1"), ("TIME", "5m"), ("PATH", "/run/haproxy.sock"), ("SHELL", "bash"), ("SEL", "web01")]
    {
        plain = Regex::new(&format!(r"\b({capitals})\b")).unwrap().replace_all(&plain, value).into_owned();
    }
    let error = refused(&words(&plain))?;
    let incomplete = matches!(
        error.kind(),
        ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    (!incomplete && !error.to_string().contains("a value is required")).then(|| format!("{command}\n{error}"))
}

/// Ways to flip in a table, and the place of any command.
const NOT_COMMANDS: [&str; 4] = ["teeter servers", "teeter route", "teeter COMMAND --help", "teeter COMMAND --json"];

#[test]
fn commands_in_sentences_of_the_pages_are_understood() {
    let code = Regex::new(r"`(teeter [^`]+|teeterd -[^`]+)`").unwrap();
    let (mut read, mut wrong) = (0, Vec::new());
    for page in pages() {
        let (prose, _) = divided(&std::fs::read_to_string(&page).unwrap());
        for found in code.captures_iter(&prose) {
            read += 1;
            let command = found[1].split_whitespace().collect::<Vec<_>>().join(" ");
            if !NOT_COMMANDS.contains(&command.as_str()) {
                wrong.extend(misnamed(&command).map(|error| format!("{}: {error}", page.display())));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(read > 200, "only {read} commands were found");
}

/// The refusals and hints of teeter name the next command to type.
#[test]
fn commands_in_texts_of_the_code_are_understood() {
    let code = Regex::new(r"`(teeter [^`]+|teeterd -[^`]+)`").unwrap();
    let value = Regex::new(r"\{[^{}]*\}").unwrap();
    let (mut read, mut wrong) = (0, Vec::new());
    for path in files(Path::new("src")) {
        for text in literals(&program(&path)) {
            for found in code.captures_iter(&text) {
                read += 1;
                let command = value.replace_all(&found[1], "1").split_whitespace().collect::<Vec<_>>().join(" ");
                if NOT_COMMANDS.contains(&command.as_str()) {
                    continue;
                }
                wrong.extend(misnamed(&command).map(|error| format!("{}: {error}", path.display())));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(read > 50, "only {read} commands were found");
}

/// The names of all commands that have no commands below them, with their long options.
fn grammar(command: &clap::Command, name: &str) -> Vec<(String, Vec<String>)> {
    let below: Vec<&clap::Command> =
        command.get_subcommands().filter(|below| below.get_name() != "help" && !below.is_hide_set()).collect();
    if below.is_empty() {
        let options = command.get_arguments().filter(|option| !option.is_hide_set() && !option.is_global_set());
        return vec![(name.to_owned(), options.filter_map(|option| Some(option.get_long()?.to_owned())).collect())];
    }
    below.into_iter().flat_map(|below| grammar(below, format!("{name} {}", below.get_name()).trim())).collect()
}

#[test]
fn pages_have_every_command_and_option_and_no_other() {
    let reference = std::fs::read_to_string("docs/reference.md").unwrap();
    let texts: Vec<String> = pages().iter().map(|page| std::fs::read_to_string(page).unwrap()).collect();
    let commands = grammar(&teeter::cli::command(), "");
    for (name, options) in &commands {
        // `resume RUN` stands beside `teeter pause RUN`.
        let shown = [format!("`teeter {name}"), format!("`{name} ")].iter().any(|text| reference.contains(text));
        assert!(shown, "docs/reference.md lacks teeter {name}");
        for option in options.iter().filter(|option| *option != "help") {
            let shown = texts.iter().any(|text| text.contains(&format!("--{option}")));
            assert!(shown, "no page has --{option} of teeter {name}");
        }
    }
    let global = teeter::cli::command();
    let daemon = teeter::daemon::command();
    let global = global.get_arguments().chain(daemon.get_arguments()).filter_map(|option| option.get_long());
    let known: Vec<&str> =
        commands.iter().flat_map(|(_, options)| options).map(String::as_str).chain(global).chain(["help"]).collect();
    for found in Regex::new("`--([a-z][a-z0-9-]*)").unwrap().captures_iter(&reference) {
        assert!(known.contains(&&found[1]), "docs/reference.md has --{}, which no command has", &found[1]);
    }
}
