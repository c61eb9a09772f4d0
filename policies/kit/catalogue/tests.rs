use super::*;

#[test]
fn a_typo_finds_the_name_that_was_meant() {
    let known = ["list_issues", "get_issue", "create_issue"];
    for (typed, meant) in [("list_isues", "list_issues"), ("LIST_ISSUES", "list_issues"), ("get_issues", "get_issue")] {
        assert_eq!(nearest(typed, known), Some(meant), "{typed}");
    }
    for typed in ["", "x", "send_mail"] {
        assert_eq!(nearest(typed, known), None, "{typed}");
    }
    assert_eq!(nearest("list_issues", []), None);
}
