//! The command line: messages, bad input, and the scripts and samples of the documentation.

mod bad_input;
mod completions;
mod doctor;
mod documented_scripts;
mod existing_site;
mod init;
mod interrupts;
mod messages;
mod recipes;
mod report;
mod report_pages;
mod status;
mod top;
