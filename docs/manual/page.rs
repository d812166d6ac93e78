//! The manual pages, each with the name of its file.

use std::io;

use clap::Command;
use clap_mangen::Man;

use crate::roff::{escaped, line, section, verbatim};
use crate::{markdown, sections};

/// All pages.
pub(crate) fn all() -> io::Result<Vec<(String, String)>> {
    let mut pages = Vec::new();
    // The help of a subcommand is its page.
    let mut teeter = teeter::cli::command().disable_help_subcommand(true);
    teeter.build();
    commands(&teeter, &mut pages)?;
    let teeterd = teeter::daemon::command();
    let end = [
        section("EXIT STATUS"),
        line(&escaped("0 after a signal, or if --check finds nothing wrong;")),
        line("2 if the configuration is wrong; 1 after another failure."),
        section("ENVIRONMENT"),
        line(&escaped("TEETER_* variables are keys of the configuration: see teeter.toml(5).")),
        sections::files(),
        sections::see_also(&[("teeter", '1'), ("teeter.toml", '5'), ("haproxy", '1')]),
    ];
    let text = format!("{}{}", by_grammar(&Man::new(teeterd.clone()).section("8"), &teeterd)?, end.concat());
    pages.push(("teeterd.8".to_owned(), text));
    pages.push(("teeter.toml.5".to_owned(), configuration()));
    Ok(pages)
}

/// The pages of a command and of its subcommands.
fn commands(command: &Command, pages: &mut Vec<(String, String)>) -> io::Result<()> {
    let man = Man::new(command.clone());
    let name = man.get_filename();
    let of_hooks = ["teeter-deploy.1", "teeter-begin.1", "teeter-advance.1"].contains(&name.as_str());
    let also: &[(&str, char)] = match name.as_str() {
        "teeter.1" => &[("teeterd", '8'), ("teeter.toml", '5'), ("haproxy", '1')],
        _ => &[("teeter", '1'), ("teeterd", '8'), ("teeter.toml", '5')],
    };
    let end = [sections::exit_status(), sections::environment(of_hooks), sections::files(), sections::see_also(also)];
    pages.push((name, format!("{}{}", by_grammar(&man, command)?, end.concat())));
    command.get_subcommands().filter(|sub| !sub.is_hide_set()).try_for_each(|sub| commands(sub, pages))
}

/// The sections that the grammar has words for.
fn by_grammar(man: &Man, command: &Command) -> io::Result<String> {
    let mut roff = Vec::new();
    man.render_title(&mut roff)?;
    man.render_name_section(&mut roff)?;
    man.render_synopsis_section(&mut roff)?;
    man.render_description_section(&mut roff)?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(&mut roff)?;
    }
    if command.has_subcommands() {
        man.render_subcommands_section(&mut roff)?;
    }
    let help = command.get_after_long_help().or(command.get_after_help());
    let text = String::from_utf8(roff).map_err(io::Error::other)?;
    Ok(format!("{text}{}", help.map(|help| notes(&help.to_string())).unwrap_or_default()))
}

/// The text behind the options: indented lines are examples and keep their breaks. The exit codes have a section.
fn notes(help: &str) -> String {
    let mut text = String::new();
    for paragraph in help.split("\n\n").filter(|paragraph| !paragraph.starts_with("Exit codes:")) {
        let (heading, body) = match paragraph.split_once('\n') {
            Some((first, rest)) if first.starts_with("Example") => (section("EXAMPLES"), rest),
            _ => (String::new(), paragraph),
        };
        let body = if body.starts_with("  ") {
            let lines: Vec<&str> = body.lines().map(|line| line.strip_prefix("  ").unwrap_or(line)).collect();
            verbatim(&lines.join("\n"))
        } else {
            format!(".PP\n{}", body.lines().map(|text| line(&escaped(text))).collect::<String>())
        };
        text.push_str(&if text.is_empty() && heading.is_empty() { section("NOTES") } else { heading });
        text.push_str(&body);
    }
    text
}

/// teeter.toml(5), from the page of the documentation.
fn configuration() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let head = format!(".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n.TH teeter.toml 5 \"\" \"teeter {version}\"\n");
    let name = format!("{}{}", section("NAME"), line("teeter.toml \\- the configuration of teeterd"));
    let synopsis = format!("{}{}", section("SYNOPSIS"), line("\\fI/etc/teeter/teeter.toml\\fR"));
    let body = markdown::roff(include_str!("../configuration.md"));
    format!("{head}{name}{synopsis}{body}{}", sections::see_also(&[("teeterd", '8'), ("teeter", '1')]))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    /// A page as a terminal of 80 columns shows it, and the warnings of groff.
    fn shown(page: &str) -> (String, String) {
        let mut groff = Command::new("groff");
        groff.args(["-man", "-Tutf8", "-ww", "-rLL=78n", "-P-cbou"]);
        groff.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut groff = groff.spawn().unwrap();
        let (mut stdin, page) = (groff.stdin.take().unwrap(), page.to_owned());
        let writer = std::thread::spawn(move || stdin.write_all(page.as_bytes()));
        let output = groff.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr))
    }

    fn page(name: &str) -> String {
        let pages = all().unwrap();
        pages.into_iter().find(|(file, _)| file == name).unwrap_or_else(|| panic!("there is no {name}")).1
    }

    #[test]
    fn every_page_fits_into_80_columns_without_a_warning() {
        if Command::new("groff").arg("--version").stdout(Stdio::null()).status().is_err() {
            return;
        }
        let pages = all().unwrap();
        assert!(pages.len() > 25, "{}", pages.len());
        for (name, text) in pages {
            let (shown, warnings) = shown(&text);
            assert_eq!(warnings, "", "{name}");
            // A line of an example is not broken.
            let example = |shown: &str| text.contains(&format!("\n{}\n", escaped(shown.trim())));
            let long = shown.lines().find(|line| line.chars().count() > 80 && !(name.ends_with(".5") && example(line)));
            assert_eq!(long, None, "{name}");
        }
    }

    #[test]
    fn pages_have_the_usual_sections() {
        for name in ["teeter.1", "teeter-drain.1", "teeter-status.1", "teeterd.8"] {
            let page = page(name);
            for heading in ["EXIT STATUS", "ENVIRONMENT", "FILES", "SEE ALSO"] {
                assert!(page.contains(&format!(".SH \"{heading}\"")), "{name} has no {heading}");
            }
        }
        assert!(page("teeter.1").contains("\\fB130\\fR") || page("teeter.1").contains("\n130\n"));
        assert!(page("teeter-deploy.1").contains("TEETER_PHASE"));
        let configuration = page("teeter.toml.5");
        for key in ["min_available", "max_5xx", "on_deadline", "shared_directory", "hook_output"] {
            assert!(configuration.contains(&format!("\\fB{key}\\fR")), "teeter.toml(5) does not describe {key}");
        }
    }
}
