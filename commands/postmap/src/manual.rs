//! The manuals: what `--help` and the man pages show.

use crate::Program;
use posthaste_cli::{Manual, Opt};

/// The manual of one of the two programs.
pub(crate) fn of(program: Program) -> &'static Manual {
    match program {
        Program::Postalias => &POSTALIAS,
        Program::Postmap => &POSTMAP,
    }
}

const fn opt(flag: &'static str, argument: &'static str, text: &'static str) -> Opt {
    Opt { flag, argument, text }
}

const CONFIG: Opt = opt("-c", "config_dir", "Read main.cf in this directory.");
const DELETE: Opt = opt(
    "-d",
    "key",
    "Remove one entry from each table. With - the keys are read from standard input, one on a line. The exit status is 0 when an entry was \
     found.",
);
const KEEP_CASE: Opt =
    opt("-f", "", "Do not fold keys to lower case, neither in the table nor in queries. Patterns have flags for this instead.");
const INSERT: Opt = opt("-i", "", "Add entries from standard input to the table; make it if it is not there.");
const JSON: Opt = opt("-j", "", "With -q and -s: print each answer as one JSON object on a line, {\"key\": \"value\"}.");
const WITH_NULL: Opt =
    opt("-N", "", "Store a null byte at the end of keys and values. This is the default but for cdb. Tables are read either way.");
const WITHOUT_NULL: Opt = opt("-n", "", "Store no null byte at the end of keys and values.");
const KEEP_ROOT: Opt =
    opt("-o", "", "Keep root's rights when the source file is not root's. By default root works with the rights of its owner.");
const MODE: Opt = opt("-p", "", "Give a new file mode 0644. By default it can be read by those who can read the source file.");
const REPLACE: Opt = opt("-r", "", "A key that is there already gets the new value, without a warning.");
const LIST: Opt = opt("-s", "", "Print all entries, in the order of the table.");
const NO_UTF8: Opt = opt("-u", "", "Do without UTF-8: keys and values may be any bytes, and only ASCII letters are folded.");
const VERBOSE: Opt = opt("-v", "", "Accepted for compatibility.");
const IGNORE: Opt = opt("-w", "", "A key that is there already keeps its value, without a warning.");

const TYPES: (&str, &str) = (
    "TABLE TYPES",
    "btree and hash make file_name.db, cdb makes file_name.cdb, lmdb makes file_name.lmdb. All other types that \"postconf -m\" lists can be \
     queried. Without a type that of default_database_type is used.",
);
const FILES: (&str, &str) = (
    "HOW FILES ARE WRITTEN",
    "A table is built beside the old one as file_name.suffix.tmp, synced to disk, and renamed: programs see the old table or the new one, also after \
     a crash. The new file keeps owner and permissions of the old one. Where the directory may not be written, the old file is overwritten \
     under an exclusive lock.",
);
const STATUS: (&str, &str) = (
    "EXIT STATUS",
    "0 when all went well, and when -q or -d found something; 1 otherwise. Lines that cannot be used are skipped with a warning.",
);
const ENVIRONMENT: (&str, &str) = ("ENVIRONMENT", "MAIL_CONFIG: the directory of main.cf.");
const SETTINGS: (&str, &str) = (
    "CONFIGURATION PARAMETERS",
    "default_database_type, lmdb_map_size, smtputf8_enable, syslog_name. berkeley_db_create_buffer_size and berkeley_db_read_buffer_size are \
     accepted and have no effect: tables are built in memory.",
);

/// The manual of postmap.
pub const POSTMAP: Manual = Manual {
    name: "postmap",
    section: 1,
    summary: "Postfix lookup table management",
    synopsis: &["postmap [-bfFhijmnNoprsuUvw] [-c config_dir] [-d key] [-q key] [map_type:]file..."],
    description: "postmap makes a lookup table from a source file (without options), changes it (-i, -d), or queries it (-q, -s).\n\n\
        Each logical line of the source file is a key, white space and a value. Lines that begin with # and empty lines are ignored; a line \
        that begins with white space continues the line before. A key with white space stands within double quotes, which are part of the key; \
        within them \\ protects a quote. Keys are folded to lower case. Of several entries with one key the first counts.",
    options: &[
        opt(
            "-b",
            "",
            "With -q -: read a message from standard input, and look up each line of its body. With -m, lines that are headers of its parts are left \
             out.",
        ),
        CONFIG,
        DELETE,
        KEEP_CASE,
        opt(
            "-F",
            "",
            "A value names files, separated by comma or white space, whose content (with an empty line between files) is stored in base64. In \
             queries: decode values.",
        ),
        opt(
            "-h",
            "",
            "With -q -: read a message from standard input, and look up each of its header lines, long ones with their line breaks. With -m, also \
             the headers of its parts.",
        ),
        INSERT,
        JSON,
        opt("-m", "", "With -b and -h: follow the MIME structure of the message."),
        WITH_NULL,
        WITHOUT_NULL,
        KEEP_ROOT,
        MODE,
        opt(
            "-q",
            "key",
            "Print the value of the first table that has the key, as it is: no search for parts of an address or domain. With - the keys are read \
             from standard input, one on a line, and key and value are printed.",
        ),
        REPLACE,
        LIST,
        NO_UTF8,
        opt("-U", "", "With -b and -h: check that lines are UTF-8."),
        VERBOSE,
        IGNORE,
    ],
    sections: &[TYPES, FILES, STATUS, ENVIRONMENT, SETTINGS],
};

/// The manual of postalias.
pub const POSTALIAS: Manual = Manual {
    name: "postalias",
    section: 1,
    summary: "Postfix alias database maintenance",
    synopsis: &["postalias [-Nfijnoprsuvw] [-c config_dir] [-d key] [-q key] [map_type:]file..."],
    description: "postalias makes an alias database from a source file as aliases(5) describes it (without options), changes it (-i, -d), or queries \
        it (-q, -s).\n\n\
        Each logical line of the source file is a name, a colon and a list of addresses, files, commands and includes. Lines that begin with # \
        and empty lines are ignored; a line that begins with white space continues the line before. Names are folded to lower case and stored \
        without quotes. Of several entries with one name the first counts.",
    options: &[
        CONFIG,
        DELETE,
        KEEP_CASE,
        INSERT,
        JSON,
        WITH_NULL,
        WITHOUT_NULL,
        KEEP_ROOT,
        MODE,
        opt(
            "-q",
            "key",
            "Print the value of the first table that has the name. With - the names are read from standard input, one on a line, and name and value \
             are printed.",
        ),
        REPLACE,
        LIST,
        NO_UTF8,
        VERBOSE,
        IGNORE,
    ],
    sections: &[TYPES, FILES, STATUS, ENVIRONMENT, SETTINGS],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_of_the_usage_is_described() {
        for manual in [&POSTMAP, &POSTALIAS] {
            let form = manual.synopsis[0];
            let letters: String = form.split([']', '[']).nth(1).unwrap_or_default().chars().filter(|c| *c != '-').collect();
            for letter in letters.chars() {
                assert!(manual.options.iter().any(|option| option.flag == format!("-{letter}")), "{} -{letter}", manual.name);
            }
        }
    }
}
