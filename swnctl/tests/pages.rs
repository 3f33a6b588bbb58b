//! The manual pages are well formed, those of the library are about its functions, and the rows of
//! a check are listed with their tests.

#![allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../man");
/// What a page that stands for another says.
const LINK: &str = ".so man3/libswnclient.3\n";

/// Returns the pages, without those that refer to others.
fn pages() -> Vec<PathBuf> {
    let all = fs::read_dir(FOLDER).unwrap().map(|page| page.unwrap().path());
    all.filter(|page| fs::read_to_string(page).unwrap() != LINK).collect()
}

#[test]
fn mandoc_has_nothing_to_warn_of() {
    for page in pages() {
        let mut command = Command::new("mandoc");
        let output = command.args(["-T", "lint", "-W", "warning"]).arg(&page).output();
        let output = output.expect("install mandoc, as tests/lab/setup does");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.is_empty(), "{}: {text}", page.display());
    }
}

#[test]
fn each_function_of_the_library_has_a_page_that_declares_it_as_the_header_does() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let header = fs::read_to_string(format!("{root}/include/witness/swnclient.h")).unwrap();
    let page = fs::read_to_string(format!("{FOLDER}/libswnclient.3")).unwrap();
    let library = fs::read_to_string(format!("{root}/swnclient-sys/libswnclient.map")).unwrap();
    let names = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let functions = words.filter(|it| it.starts_with("swnc_") && *it != "swnc_state");
        functions.map(str::to_owned).collect()
    };
    let functions = names(&library);
    assert_eq!(functions.len(), 8);
    let (name, _) = page.split_once(".Nd ").unwrap();
    assert_eq!(names(name), functions);
    for function in &functions {
        let link = fs::read_to_string(format!("{FOLDER}/{function}.3")).unwrap();
        assert_eq!(link, LINK, "{function}");
        // As C, without what only lays it out.
        let compact = |text: &str| text.split_whitespace().collect::<String>();
        let declared = page.split(".Ft ").skip(1).find_map(|rest| {
            let (declared, _) = rest.split_once(".Fc")?;
            let (returns, arguments) = declared.split_once(&format!("\n.Fo {function}\n"))?;
            let arguments = arguments.lines().filter_map(|line| line.strip_prefix(".Fa "));
            let arguments = arguments.map(|it| it.trim_matches('"')).collect::<Vec<_>>().join(",");
            Some(compact(&format!("{}{function}({arguments});", returns.trim_matches('"'))))
        });
        let declared = declared.unwrap_or_else(|| panic!("{function} is not declared"));
        assert!(compact(&header).contains(&declared), "{declared}");
    }
}

#[test]
fn man_shows_each_page_as_it_is_installed() {
    let root = std::env::temp_dir().join(format!("swnctl-pages-{}", std::process::id()));
    let mut files = Vec::new();
    for page in fs::read_dir(FOLDER).unwrap() {
        let page = page.unwrap().path();
        let section = format!("man{}", page.extension().unwrap().to_str().unwrap());
        let file = PathBuf::from(section).join(page.file_name().unwrap());
        fs::create_dir_all(root.join(&file).parent().unwrap()).unwrap();
        fs::copy(&page, root.join(&file)).unwrap();
        files.push(file);
    }
    for file in files {
        let mut command = Command::new("man");
        command.args(["--warnings", "-l"]).arg(&file).current_dir(&root);
        let output = command.env("MANPAGER", "cat").env("LC_ALL", "C.UTF-8").output();
        let output = output.expect("install man-db, as tests/lab/setup does");
        let problems = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && problems.is_empty(), "{}: {problems}", file.display());
        assert!(!output.stdout.is_empty(), "{}", file.display());
    }
    fs::remove_dir_all(root).unwrap();
}

/// Returns the files below a folder.
fn files(folder: PathBuf) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    entries.flat_map(|it| if it.is_dir() { files(it) } else { vec![it] }).collect()
}

#[test]
fn each_row_of_a_check_is_listed_with_tests_that_break_it() {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let tests = ["swnctl/src/check", "swnctl/tests", "tests/lab/tests"];
    let tests = tests.iter().flat_map(|it| files(root.join(it)));
    let tests: String = tests.map(|it| fs::read_to_string(it).unwrap()).collect();
    let text = fs::read_to_string(root.join("docs/checks.md")).unwrap();
    let mut listed = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let quoted: Vec<_> = line.split('`').skip(1).step_by(2).collect();
        let (row, names) = quoted.split_first().unwrap();
        listed.push((*row).to_owned());
        let names: Vec<_> =
            names.iter().filter(|it| it.contains('_') && !it.contains('=')).collect();
        assert!(!names.is_empty(), "{line}");
        for name in names {
            assert!(tests.contains(&format!("fn {name}()")), "{row}: there is no test {name}");
        }
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_swnctl"));
    command.args(["--json", "--socket", "/nonexistent", "check", "//127.0.0.1/data"]);
    let output = command.output().unwrap();
    let rows: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows: Vec<_> =
        rows.as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(listed, rows);
}
