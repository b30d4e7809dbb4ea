//! The manual page: what the command line knows of itself, and what it does not.

use std::io::{Write, stdout};

use clap::Command;

/// One page with every command: nobody looks for eight.
pub(super) fn print(mut command: Command) -> anyhow::Result<()> {
    command.build();
    let program = command.get_name().to_owned();
    let page = clap_mangen::Man::new(command.clone());
    let mut roff = Vec::new();
    page.render_title(&mut roff)?;
    page.render_name_section(&mut roff)?;
    page.render_synopsis_section(&mut roff)?;
    page.render_description_section(&mut roff)?;
    for command in command.get_subcommands().filter(|c| c.get_name() != "help") {
        let name = format!("{program} {}", command.get_name());
        writeln!(roff, ".SH {:?}", name.to_uppercase())?;
        let of_command = clap_mangen::Man::new(command.clone());
        of_command.render_synopsis_section(&mut roff)?;
        of_command.render_description_section(&mut roff)?;
        of_command.render_options_section(&mut roff)?;
    }
    let roff = String::from_utf8(roff)?;
    stdout().write_all(below_their_command(&roff).as_bytes())?;
    Ok(())
}

/// The sections of a command become subsections of the page.
fn below_their_command(roff: &str) -> String {
    let mut is_within = false;
    let mut page = String::with_capacity(roff.len() + FILES.len());
    for line in roff.lines() {
        is_within |= line.starts_with(".SH \"");
        let line = match line.strip_prefix(".SH ") {
            Some(title) if is_within && !title.starts_with('"') => format!(".SS {title}"),
            _ => line.to_owned(),
        };
        page.push_str(&line);
        page.push('\n');
    }
    page.push_str(FILES);
    page
}

/// What the command line itself does not know.
const FILES: &str = r#".SH FILES
.TP
.I /etc/cms-edge/proxy.toml
The configuration of the service. Every key with its default and its consequence: \fBcms\-edge defaults\fR.
.SH ENVIRONMENT
.TP
.B CMS_EDGE_*
A key of the configuration, e.g. \fBCMS_EDGE_ADMIN__LISTEN\fR for \fIlisten\fR in \fI[admin]\fR.
.TP
.B RUST_LOG
Overrides the level of the log.
.SH SIGNALS
.TP
.B SIGTERM, SIGINT
Drain and stop.
.SH "EXIT STATUS"
0 when all went well, 1 when it did not or when connections had to be cut, 64 for a mistake in the configuration, 2 for one on the
command line.
"#;
