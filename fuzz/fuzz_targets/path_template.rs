//! Path templates: what is read is written the same, and the wider character set fits more.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mesh_authz::spec::{PathTemplate, TemplateCharset, TemplateSegment};

fuzz_target!(|input: (&str, &str)| {
    let (text, path) = input;
    let Ok(template) = PathTemplate::parse(text) else {
        return;
    };
    assert_eq!(template.as_str(), text);
    assert!(PathTemplate::is_template(text));
    assert!(
        template
            .segments()
            .any(|s| !matches!(s, TemplateSegment::Literal(_)))
    );
    assert!(text.starts_with(template.prefix()));
    let compat = template.matches(path, TemplateCharset::Compat);
    let all = template.matches(path, TemplateCharset::AnyButSlash);
    assert!(all || !compat);
    assert!(!all || path.starts_with(template.prefix()));
    // A template with every operator filled in fits.
    let filled = text.replace("{**}", "a//b").replace("{*}", "x");
    assert!(template.matches(&filled, TemplateCharset::Compat));
});
