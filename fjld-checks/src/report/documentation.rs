//! The documentation of a claim's file, taken apart for its page.

use super::page::Block;

fn text(text: &str) -> Block {
    Block::Text {
        text: text.to_owned(),
    }
}

/// The documentation of a module as blocks: paragraphs, lists and code between fences.
pub fn documentation(source: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut code: Option<Vec<&str>> = None;
    let mut open = false;
    // a link of rustdoc is its name here
    let source = source.replace("[`", "`").replace("`]", "`");
    for line in source.lines() {
        if line.starts_with("```") {
            open = false;
            code = match code.take() {
                Some(lines) => {
                    let text = lines.join("\n");
                    blocks.push(Block::Code { text });
                    None
                }
                None => Some(Vec::new()),
            };
            continue;
        }
        if let Some(lines) = &mut code {
            lines.push(line);
            continue;
        }
        let content = line.trim();
        let point = content.strip_prefix("- ");
        match (point, blocks.last_mut()) {
            _ if content.is_empty() => open = false,
            (Some(point), Some(Block::List { items })) => {
                items.push(point.to_owned());
                open = true;
            }
            (Some(point), _) => {
                let items = vec![point.to_owned()];
                blocks.push(Block::List { items });
                open = true;
            }
            (None, Some(Block::Text { text })) if open => {
                *text += " ";
                *text += content;
            }
            (None, Some(Block::List { items })) if open => {
                if let Some(last) = items.last_mut() {
                    *last += " ";
                    *last += content;
                }
            }
            (None, _) => {
                blocks.push(text(content));
                open = true;
            }
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documentation_falls_into_paragraphs_lists_and_code() {
        let source = "One\nline.\n\nThe `x`:\n\n- a\n  b\n- c\n\n```text\nF v = 0\n  1\n```\nEnd.";
        let list = |items: &[&str]| Block::List {
            items: items.iter().map(|i| (*i).to_owned()).collect(),
        };
        let code = Block::Code {
            text: "F v = 0\n  1".into(),
        };
        assert_eq!(
            documentation(source),
            [
                text("One line."),
                text("The `x`:"),
                list(&["a b", "c"]),
                code,
                text("End.")
            ]
        );
    }
}
