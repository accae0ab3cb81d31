//! `hfd env`: what `hfd exec` sets, for a shell to set itself, and for its hook.

use std::fmt::Write as _;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::{Args, ValueEnum};
use hfd_proto::{Endpoint, Error, Kind, Secret, TokenName};
use serde::Serialize;
use zeroize::Zeroizing;

use super::completions::names;
use super::exec::endpoint_to_set;
use super::token::{self, Found};
use crate::cli::parse_name;
use crate::environment::{Environment, HOOK, Hook};
use crate::failure::Failure;
use crate::output::Output;
use crate::rules::{self, Here};
use crate::{Context, output};

/// The token's variable, and that of its Hub where it has one of its own.
const TOKEN: &str = "HF_TOKEN";
const ENDPOINT: &str = "HF_ENDPOINT";

#[derive(Debug, Args)]
#[command(after_help = "\
HF_TOKEN is read by huggingface_hub, transformers, datasets, llama.cpp, huggingface.js' hfjs, text-generation-inference,
git-xet and others, and HF_ENDPOINT, which is set for a Hub other than huggingface.co, by most of them. Programs that
run for long are better off with `hfd exec --live`: a variable is not renewed.

Examples:
  eval \"$(hfd env)\"
  hfd env --as ci --shell fish | source
  hfd env --shell powershell | Invoke-Expression
  hfd env --shell dotenv > .env       # a token in a file: mind who reads it, and git")]
pub(crate) struct Arguments {
    /// The token [default: the one in use here]
    #[arg(long = "as", value_name = "NAME", value_parser = parse_name, add = names())]
    name: Option<TokenName>,
    /// For whom to write [default: by SHELL]
    #[arg(long, value_enum)]
    shell: Option<Form>,
    /// For the hook of a shell: set what a directory says, and take back what another one said
    #[arg(long, hide = true, conflicts_with = "name")]
    hook: bool,
    /// For the hook, in a directory where it has said what there is to say
    #[arg(long, hide = true, requires = "hook")]
    again: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Bash,
    Zsh,
    Fish,
    Powershell,
    Json,
    Dotenv,
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let form = match arguments.shell {
        _ if context.output.is_json() => Form::Json,
        Some(form) => form,
        None => of_this_shell(context),
    };
    if arguments.hook {
        let output = context.output.without_notes(arguments.again);
        return follow(form, output, &context.env);
    }
    let here = rules::here(arguments.name.as_ref(), context)?;
    let variables = variables(here, context)?;
    output::print(variables.written(form)?.as_bytes())
}

fn of_this_shell(context: &Context) -> Form {
    let shell = context.env.text("SHELL").unwrap_or_default();
    match shell.rsplit('/').next() {
        Some("fish") => Form::Fish,
        Some("zsh") => Form::Zsh,
        _ if cfg!(windows) => Form::Powershell,
        _ => Form::Bash,
    }
}

/// What is set, and what of it is taken back.
#[derive(Debug, Default)]
struct Variables {
    set: Vec<(&'static str, Zeroizing<String>)>,
    unset: Vec<&'static str>,
}

fn variables(here: Here, context: &Context) -> Result<Variables, Error> {
    let found = token::here(here, context.env.endpoint()?, &context.env)?;
    let mut variables = Variables::default();
    let value = Zeroizing::new(found.token().expose().to_owned());
    variables.set.push((TOKEN, value));
    // It is the person's own from here on, and not the hook's to take back.
    variables.unset.extend(context.env.hook().map(|_| HOOK));
    let own = match &found {
        Found::Kept(reply) => endpoint_to_set(&reply.endpoint, &context.env)?,
        Found::InEnvironment(_) => None,
    };
    match own {
        Some(endpoint) => {
            let endpoint = Zeroizing::new(endpoint.as_str().to_owned());
            variables.set.push((ENDPOINT, endpoint));
        }
        None if context.env.endpoint_is_of_the_hook() => variables.unset.push(ENDPOINT),
        None => {}
    }
    Ok(variables)
}

/// For the hook, which runs before each prompt: a directory that names a token has it in the environment,
/// and elsewhere it is taken out again. What a person has set stays.
fn follow(form: Form, output: Output, env: &Environment) -> Result<(), Failure> {
    let before = env.hook();
    let own_token = env.token_is_of_the_hook();
    let mut variables = Variables::default();
    variables.unset.extend(before.iter().map(|_| HOOK));
    variables.unset.extend(own_token.then_some(TOKEN));
    variables
        .unset
        .extend(env.endpoint_is_of_the_hook().then_some(ENDPOINT));
    if env.beating_variable().is_none() || own_token {
        match in_time(output) {
            Ok(Some(found)) => {
                let known = before.is_some_and(|before| before.name == found.name);
                if !known {
                    let note = format!("hfd: {TOKEN} is `{}` here", found.name);
                    output.note(&note);
                }
                variables = found.variables();
                let endpoint = env.endpoint_is_of_the_hook() && found.endpoint.is_none();
                variables.unset.extend(endpoint.then_some(ENDPOINT));
            }
            Ok(None) => {}
            Err(error) => output.note(&format!("hfd: {}", error.message)),
        }
    }
    output::print(variables.written(form)?.as_bytes())
}

/// How long a prompt waits.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the directory has, where that is known in time.
fn in_time(output: Output) -> Result<Option<OfDirectory>, Error> {
    let (send, found) = mpsc::channel();
    let worker = thread::Builder::new().spawn(move || {
        let context = Context {
            env: Environment::of_process(),
            output,
            no_input: true,
        };
        // Nobody hears it where it took too long.
        drop(send.send(of_directory(&context)));
    });
    let late = || Error::new(Kind::TimedOut, "no answer in time");
    worker.map_err(|_| late())?;
    found.recv_timeout(PATIENCE).map_err(|_| late())?
}

/// The token of a directory that has one.
struct OfDirectory {
    name: String,
    token: Secret,
    endpoint: Option<Endpoint>,
}

fn of_directory(context: &Context) -> Result<Option<OfDirectory>, Error> {
    let Here::Named(name) = rules::here(None, context)? else {
        return Ok(None);
    };
    let shown = name.escaped();
    let endpoint = context.env.endpoint()?;
    match token::here(Here::Named(name), endpoint, &context.env)? {
        Found::InEnvironment(_) => Ok(None),
        Found::Kept(reply) => Ok(Some(OfDirectory {
            name: shown,
            endpoint: endpoint_to_set(&reply.endpoint, &context.env)?.cloned(),
            token: reply.token,
        })),
    }
}

impl OfDirectory {
    fn variables(&self) -> Variables {
        let endpoint = self.endpoint.as_ref().map(Endpoint::as_str);
        let hook = Hook {
            mask: Hook::mask_of(&self.token),
            endpoint: endpoint.unwrap_or_default().to_owned(),
            name: self.name.clone(),
        };
        let mut variables = Variables::default();
        let value = Zeroizing::new(self.token.expose().to_owned());
        variables.set.push((TOKEN, value));
        variables.set.push((HOOK, Zeroizing::new(hook.marker())));
        let endpoint = endpoint.map(|endpoint| Zeroizing::new(endpoint.to_owned()));
        variables
            .set
            .extend(endpoint.map(|endpoint| (ENDPOINT, endpoint)));
        variables
    }
}

impl Variables {
    fn written(&self, form: Form) -> Result<Zeroizing<String>, Error> {
        if form == Form::Json {
            return self.json();
        }
        // Room for all of it at once: growing would leave copies behind.
        let length: usize = self.set.iter().map(|(_, value)| 64 + 4 * value.len()).sum();
        let mut text = Zeroizing::new(String::with_capacity(length + 256));
        for name in &self.unset {
            let _ = match form {
                Form::Fish => writeln!(text, "set -e {name}"),
                Form::Powershell => writeln!(text, "Remove-Item Env:{name} -ErrorAction Ignore"),
                _ => writeln!(text, "unset {name}"),
            };
        }
        for (name, value) in &self.set {
            let value = &Zeroizing::new(quoted(value, form));
            let (value, end) = (value.as_str(), "\n");
            let _ = match form {
                Form::Bash | Form::Zsh => write!(text, "export {name}={value}{end}"),
                Form::Fish => write!(text, "set -gx {name} {value}{end}"),
                Form::Powershell => write!(text, "$Env:{name} = {value}{end}"),
                Form::Dotenv | Form::Json => write!(text, "{name}={value}{end}"),
            };
        }
        Ok(text)
    }

    fn json(&self) -> Result<Zeroizing<String>, Error> {
        #[derive(Serialize)]
        struct Document<'a> {
            #[serde(rename = "HF_TOKEN", skip_serializing_if = "Option::is_none")]
            token: Option<&'a str>,
            #[serde(rename = "HF_ENDPOINT", skip_serializing_if = "Option::is_none")]
            endpoint: Option<&'a str>,
        }
        let value = |wanted: &str| {
            let found = self.set.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| value.as_str())
        };
        let document = Document {
            token: value(TOKEN),
            endpoint: value(ENDPOINT),
        };
        let mut text = Zeroizing::new(Vec::with_capacity(16 * 1024));
        serde_json::to_writer(&mut *text, &document)
            .map_err(|error| Error::new(Kind::Other, error.to_string()))?;
        text.push(b'\n');
        let text = String::from_utf8_lossy(&text).into_owned();
        Ok(Zeroizing::new(text))
    }
}

/// A value that the shell takes for itself alone, whatever is in it.
fn quoted(value: &str, form: Form) -> String {
    match form {
        // POSIX 2.2.2: nothing but the quote itself means anything.
        Form::Bash | Form::Zsh => format!("'{}'", value.replace('\'', r"'\''")),
        Form::Fish => format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'")),
        // PowerShell, about_Quoting_Rules; it takes typographic quotes for quotes, too.
        Form::Powershell => {
            let mut text = String::with_capacity(value.len() + 2);
            text.push('\'');
            for character in value.chars() {
                if matches!(character, '\'' | '\u{2018}'..='\u{201b}') {
                    text.push(character);
                }
                text.push(character);
            }
            text.push('\'');
            text
        }
        // Of the readers some know quotes and some do not: none where none are needed.
        Form::Dotenv | Form::Json => {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+".contains(&byte);
            match value.bytes().all(plain) {
                true => value.to_owned(),
                false => format!("'{value}'"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_for_each_shell() {
        let value = r"a'b\c$d";
        assert_eq!(quoted(value, Form::Bash), r"'a'\''b\c$d'");
        assert_eq!(quoted(value, Form::Fish), r"'a\'b\\c$d'");
        assert_eq!(quoted(value, Form::Powershell), r"'a''b\c$d'");
        assert_eq!(quoted("hf_a", Form::Dotenv), "hf_a");
    }

    #[test]
    fn each_form_sets_and_takes_back() {
        let variables = Variables {
            set: vec![(TOKEN, Zeroizing::new("hf_a".to_owned()))],
            unset: vec![HOOK],
        };
        let written = |form| variables.written(form).unwrap().to_string();
        assert_eq!(
            written(Form::Bash),
            "unset HFD_HOOK\nexport HF_TOKEN='hf_a'\n"
        );
        assert_eq!(
            written(Form::Fish),
            "set -e HFD_HOOK\nset -gx HF_TOKEN 'hf_a'\n"
        );
        assert_eq!(written(Form::Json), "{\"HF_TOKEN\":\"hf_a\"}\n");
    }
}
