//! `unix:passwd.byname` and `unix:group.byname`: the system's users and groups.

use crate::{Table, TableError};
use bstr::{BStr, BString, ByteSlice};
use posthaste_system::users;

enum Base {
    Passwd,
    Group,
}

/// One of the two tables.
pub(crate) struct Unix {
    name: String,
    base: Base,
}

impl Unix {
    pub fn open(spec: &str, name: &str) -> Result<Unix, String> {
        let base = match name {
            "passwd.byname" => Base::Passwd,
            "group.byname" => Base::Group,
            _ => return Err(format!("unknown table: {spec}")),
        };
        Ok(Unix { name: spec.to_owned(), base })
    }
}

impl Table for Unix {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, key: &BStr) -> Result<Option<BString>, TableError> {
        // The databases hold text; a key that is none is not in them.
        let Ok(key) = key.to_str() else { return Ok(None) };
        let fail = |what: &str, error: &std::io::Error| {
            TableError::new(&self.name, format!("cannot access UNIX {what} database: {}", crate::file::reason(error)))
        };
        Ok(match self.base {
            Base::Passwd => users::by_name(key).map_err(|e| fail("password", &e))?.map(|user| {
                let (home, shell) = (user.home.display(), user.shell.display());
                format!("{}:{}:{}:{}:{}:{home}:{shell}", user.name, user.password, user.uid, user.gid, user.gecos).into()
            }),
            Base::Group => users::group_by_name(key)
                .map_err(|e| fail("group", &e))?
                .map(|group| format!("{}:{}:{}:{}", group.name, group.password, group.gid, group.members.join(",")).into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::context::collecting;
    use crate::open::{OpenFlags, open};

    // S-TABLE-08
    #[test]
    fn passwd_and_group() {
        let users = open("unix:passwd.byname", OpenFlags::default(), &collecting().0).unwrap();
        let root = users.lookup("ROOT".into()).unwrap().unwrap().to_string();
        assert!(root.starts_with("root:x:0:0:") && root.matches(':').count() == 6, "{root}");
        assert_eq!(users.lookup("no such user".into()).unwrap(), None);
        let groups = open("unix:group.byname", OpenFlags::default(), &collecting().0).unwrap();
        assert!(groups.lookup("root".into()).unwrap().unwrap().starts_with(b"root:x:0:"));
        assert_eq!(
            open("unix:hosts.byname", OpenFlags::default(), &collecting().0).map(|_| ()).unwrap_err(),
            "unknown table: unix:hosts.byname"
        );
    }
}
