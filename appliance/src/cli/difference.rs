//! What differs between two texts, line by line: `-` went, `+` came, two blanks are what stands around. Pure.

/// A configuration is a page or two; of longer ones only whole sides are shown.
const LINES_MAX: usize = 2000;
/// How many lines of what stayed are shown around a change.
const AROUND: usize = 2;

pub fn lines(old: &str, new: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    if old.len() > LINES_MAX || new.len() > LINES_MAX {
        let went = old.iter().map(|line| format!("- {line}"));
        return went.chain(new.iter().map(|line| format!("+ {line}"))).collect();
    }
    let all = steps(&old, &new);
    let changed: Vec<usize> =
        all.iter().enumerate().filter(|(_, (sign, _))| *sign != ' ').map(|(at, _)| at).collect();
    let near = |at: usize| changed.iter().any(|other| other.abs_diff(at) <= AROUND);
    all.iter()
        .enumerate()
        .filter(|(at, _)| near(*at))
        .map(|(_, (sign, line))| format!("{sign} {line}"))
        .collect()
}

/// The longest common lines, by the table that every textbook has.
fn steps<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(char, &'a str)> {
    let width = new.len() + 1;
    let mut common = vec![0u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i * width + j] = if old[i] == new[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut steps) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            steps.push((' ', old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len()
            || (i < old.len() && common[(i + 1) * width + j] >= common[i * width + j + 1])
        {
            steps.push(('-', old[i]));
            i += 1;
        } else {
            steps.push(('+', new[j]));
            j += 1;
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_shown_with_what_stands_around_it() {
        let old = "1\n2\n3\n4\n5\n6\n7\n";
        assert_eq!(lines(old, &old.replace('4', "four")), ["  2", "  3", "- 4", "+ four", "  5", "  6"]);
        assert_eq!(lines(old, old), Vec::<String>::new());
        assert_eq!(lines("", "a\n"), ["+ a"]);
        assert_eq!(lines("a\n", ""), ["- a"]);
    }
}
