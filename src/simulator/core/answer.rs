//! What the API has to say, before it is put into one of the envelope forms.

use http::HeaderName;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{EnvelopeForm, FieldFault, Request, Response};

/// An answer with no form yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// What it says.
    pub data: Data,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// One object.
    One(Value),
    /// A page of objects.
    Page(Vec<Value>, Pagination),
    /// An error.
    Problem(Problem),
}

/// Where a page stands in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pagination {
    /// From 1.
    pub page: u64,
    /// Objects on a page.
    pub limit: u64,
    /// Objects before this page.
    pub offset: u64,
    /// Objects in the list.
    pub total: u64,
}

/// An error, as the API tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// In lower case.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// The field at fault.
    pub field: Option<String>,
    /// Whatever else a client may use.
    pub details: Option<Value>,
}

impl Answer {
    /// An object.
    #[must_use]
    pub fn one(status: u16, data: Value) -> Self {
        Self { status, data: Data::One(data) }
    }

    /// An error.
    #[must_use]
    pub fn problem(status: u16, code: &str, message: impl Into<String>) -> Self {
        let (code, message) = (code.to_owned(), message.into());
        Self { status, data: Data::Problem(Problem { code, message, field: None, details: None }) }
    }

    /// An error that names a field and carries details.
    #[must_use]
    pub fn with(mut self, field: Option<&str>, details: Option<Value>) -> Self {
        if let Data::Problem(problem) = &mut self.data {
            problem.field = field.map(str::to_owned);
            problem.details = details;
        }
        self
    }

    /// 422 for faults of fields: the first one leads, all stand in the details.
    #[must_use]
    pub fn faults(faults: &[FieldFault]) -> Self {
        let Some(first) = faults.first() else {
            return Self::problem(422, "validation_error", "The request is not valid");
        };
        let all: Vec<Value> = faults
            .iter()
            .map(|f| json!({"field": f.field, "code": f.code, "message": f.message}))
            .collect();
        Self::problem(422, first.code, format!("{} {}", first.field, first.message))
            .with(Some(&first.field), Some(json!({ "errors": all })))
    }

    /// The error's code, if it is one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match &self.data {
            Data::Problem(problem) => Some(&problem.code),
            Data::One(_) | Data::Page(..) => None,
        }
    }

    /// Puts the answer into its form.
    pub(crate) fn render(
        &self,
        form: EnvelopeForm,
        now: Timestamp,
        request_id: &str,
        request: &Request,
    ) -> Response {
        let meta = json!({"timestamp": now.to_string(), "requestId": request_id});
        let body = match &self.data {
            Data::One(data) => success(form, data.clone(), None, &meta),
            Data::Page(items, page) => {
                success(form, Value::Array(items.clone()), Some(*page), &meta)
            }
            Data::Problem(problem) => error(form, self.status, problem, &meta, request),
        };
        let mut response = Response::new(self.status, "application/json", body.to_string());
        response.set(HeaderName::from_static("x-request-id"), request_id);
        response
    }
}

fn success(form: EnvelopeForm, data: Value, page: Option<Pagination>, meta: &Value) -> Value {
    let mut body = match form {
        EnvelopeForm::A => json!({"success": true, "data": data}),
        EnvelopeForm::B => json!({"status": "success", "data": data}),
        EnvelopeForm::C => {
            let data = camel(data);
            match page {
                Some(page) => json!({
                    "data": {"items": data, "pagination": camel(page.render(form))},
                    "meta": meta,
                }),
                None => json!({"data": data, "meta": meta}),
            }
        }
    };
    if let (Some(page), EnvelopeForm::A | EnvelopeForm::B) = (page, form) {
        body["pagination"] = page.render(form);
    }
    body
}

fn error(
    form: EnvelopeForm,
    status: u16,
    problem: &Problem,
    meta: &Value,
    request: &Request,
) -> Value {
    let Problem { code, message, field, details } = problem;
    if form == EnvelopeForm::C {
        let mut meta = meta.clone();
        meta["path"] = json!(request.path);
        meta["method"] = json!(request.method.as_str());
        let mut details = details.clone().map_or_else(|| json!({}), camel);
        if let (Some(field), Some(details)) = (field, details.as_object_mut()) {
            details.insert("field".to_owned(), json!(field));
        }
        let code = code.to_uppercase();
        return json!({
            "error": {"code": code, "message": message, "details": details},
            "meta": meta,
        });
    }
    let error = json!({
        "code": code,
        "message": message,
        "field": field,
        "status": status,
        "details": details,
    });
    match form {
        EnvelopeForm::A => json!({"success": false, "error": error}),
        EnvelopeForm::B | EnvelopeForm::C => json!({ "error": error }),
    }
}

impl Pagination {
    fn render(self, form: EnvelopeForm) -> Value {
        let Self { page, limit, offset, total } = self;
        let pages = total.div_ceil(limit.max(1));
        if form == EnvelopeForm::B {
            return json!({"page": page, "limit": limit, "total": total, "totalPages": pages});
        }
        let has_more = offset.saturating_add(limit) < total;
        json!({
            "page": page,
            "limit": limit,
            "total": total,
            "pages": pages,
            "has_more": has_more,
        })
    }
}

/// Turns the names of all fields from `snake_case` to `camelCase`.
fn camel(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .map(|(name, value)| (camel_name(&name), camel(value)))
                .collect::<Map<_, _>>(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(camel).collect()),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}

fn camel_name(name: &str) -> String {
    let mut words = name.split('_');
    let mut out = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        out.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        out.push_str(letters.as_str());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;

    fn body(form: EnvelopeForm, answer: &Answer) -> String {
        let request = Request::new(Method::GET, "/api/v1/payments/charges", "sk", None);
        let response = answer.render(form, Timestamp::UNIX_EPOCH, "req_1", &request);
        assert_eq!(response.headers["x-request-id"], "req_1");
        serde_json::to_string_pretty(&response.json()).unwrap()
    }

    fn all_forms(answer: &Answer) -> String {
        let forms = [EnvelopeForm::A, EnvelopeForm::B, EnvelopeForm::C];
        forms.map(|form| format!("{form:?} {}", body(form, answer))).join("\n")
    }

    #[test]
    fn one_object_in_each_form() {
        insta::assert_snapshot!(all_forms(&Answer::one(200, json!({"amount_minor": 5}))));
    }

    #[test]
    fn a_page_in_each_form() {
        let page = Pagination { page: 2, limit: 2, offset: 2, total: 5 };
        let data = Data::Page(vec![json!({"customer_id": "a"})], page);
        insta::assert_snapshot!(all_forms(&Answer { status: 200, data }));
    }

    #[test]
    fn an_error_in_each_form() {
        let answer = Answer::problem(422, "validation_error", "Too much")
            .with(Some("amount_minor"), Some(json!({"remaining_minor": 3})));
        insta::assert_snapshot!(all_forms(&answer));
    }
}
