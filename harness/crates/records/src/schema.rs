//! Validates JSON output against the schemas in `schema/`.
//!
//! The validator supports the keywords that these schemas use and rejects all others. It is
//! stricter than readers: it rejects keys without a description, which readers must ignore.

use serde_json::{Map, Value};

/// The schemas by name.
const SCHEMAS: &[(&str, &str)] = &[
    ("check", include_str!("../schema/check.schema.json")),
    ("suite", include_str!("../schema/suite.schema.json")),
    ("verdict", include_str!("../schema/verdict.schema.json")),
];

/// Keywords without constraints.
const ANNOTATION_KEYWORDS: &[&str] = &["$defs", "$id", "$schema", "description", "title"];

/// The violations of a schema, each with its JSON pointer.
pub fn schema_violations(shape: &str, value: &Value) -> Vec<String> {
    let (_, text) = SCHEMAS.iter().find(|(name, _)| *name == shape).expect("there is a schema");
    let root: Value = serde_json::from_str(text).expect("a schema is JSON");
    let mut wrong = Vec::new();
    Validator { root: &root }.validate_value(&root, value, "", &mut wrong);
    wrong
}

struct Validator<'a> {
    root: &'a Value,
}

impl Validator<'_> {
    fn validate_value(&self, schema: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
        for (keyword, asked) in schema.as_object().expect("a schema is an object") {
            let fits = match keyword.as_str() {
                "$ref" => {
                    let place = asked.as_str().and_then(|it| it.strip_prefix('#'));
                    let found = place.and_then(|it| self.root.pointer(it));
                    self.validate_value(found.expect("it refers to something"), value, at, wrong);
                    true
                }
                "additionalProperties" | "required" => true,
                "anyOf" => asked.as_array().expect("a list").iter().any(|one| {
                    let mut wrong = Vec::new();
                    self.validate_value(one, value, at, &mut wrong);
                    wrong.is_empty()
                }),
                "const" => value == asked,
                "enum" => asked.as_array().expect("a list").contains(value),
                "items" => {
                    for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.validate_value(asked, item, &format!("{at}/{n}"), wrong);
                    }
                    true
                }
                "minimum" => value.as_f64().is_none_or(|it| Some(it) >= asked.as_f64()),
                "properties" => true,
                "type" => has_type(value, asked),
                other => {
                    assert!(ANNOTATION_KEYWORDS.contains(&other), "no schema here uses {other:?}");
                    true
                }
            };
            if !fits {
                wrong.push(format!("{at}: {value} does not fit {keyword} {asked}"));
            }
        }
        if let Some(entries) = value.as_object() {
            self.validate_entries(schema, entries, at, wrong);
        }
    }

    fn validate_entries(
        &self,
        schema: &Value,
        entries: &Map<String, Value>,
        at: &str,
        wrong: &mut Vec<String>,
    ) {
        let (known, others) = (schema.get("properties"), schema.get("additionalProperties"));
        for name in schema["required"].as_array().into_iter().flatten() {
            if !entries.contains_key(name.as_str().expect("a name")) {
                wrong.push(format!("{at}: {name} is missing"));
            }
        }
        if known.is_none() && others.is_none() {
            return;
        }
        for (name, value) in entries {
            match known.and_then(|known| known.get(name)).or(others) {
                Some(described) => {
                    self.validate_value(described, value, &format!("{at}/{name}"), wrong)
                }
                None => wrong.push(format!("{at}: {name:?} is not described")),
            }
        }
    }
}

fn has_type(value: &Value, asked: &Value) -> bool {
    let is = |name: &Value| match name.as_str().expect("a name") {
        "array" => value.is_array(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "object" => value.is_object(),
        "string" => value.is_string(),
        other => panic!("no schema here uses the type {other:?}"),
    };
    asked.as_array().map_or_else(|| is(asked), |names| names.iter().any(is))
}
