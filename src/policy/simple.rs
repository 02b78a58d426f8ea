//! Conditions that need no evaluator: who calls, comparisons of a call's attributes with constants and
//! with one another, sums and products of its numbers, and what `&&`, `||`, `!` and `if` make of them.
//!
//! Cedar's evaluator is made for all that rules can say, and takes a quarter of a microsecond for
//! the least of it. These are most of what rules do say. What they come to is what Cedar would say,
//! its errors included: a test asks both (`a_narrowed_decision_is_the_one_of_the_whole_policy`).
//! Whatever else a rule says is left to Cedar.

use std::sync::Arc;

use cedar_policy_core::ast::{BinaryOp, EntityUID, Expr, ExprKind, Literal, Pattern, UnaryOp, Var};

use super::decide::namespace;
use super::question::{ALL_THAT_IS_LEFT, Number, Text};
use super::{Fields, Question};

/// A part of a rule's condition. All of its parts have to be met, and the first that is not, or that
/// cannot be evaluated, ends it, as Cedar's `&&` does.
#[derive(Clone, Debug)]
pub(super) enum Part {
    /// Met or not by the call's fields alone.
    Simple(Simple),
    /// Cedar's to evaluate.
    Cedar(Arc<Expr>),
}

/// A simple condition.
#[derive(Clone, Debug)]
pub(super) enum Simple {
    Constant(bool),
    CalledBy(Vec<CallerOf>),
    AllThatIsLeft,
    HasText(Text),
    HasNumber(Number),
    SameText(TextOf, TextOf),
    OneOf(TextOf, Vec<Box<str>>),
    Like(TextOf, Pattern),
    SameNumber(NumberOf, NumberOf),
    Less(NumberOf, NumberOf),
    LessOrSame(NumberOf, NumberOf),
    Not(Box<Self>),
    Both(Box<[Self; 2]>),
    Either(Box<[Self; 2]>),
    If(Box<[Self; 3]>),
}

/// Who a caller may be.
#[derive(Clone, Debug)]
pub(super) enum CallerOf {
    Service(Box<str>),
    Namespace(Box<str>),
}

/// A text to compare.
#[derive(Clone, Debug)]
pub(super) enum TextOf {
    Call(Text),
    Constant(Box<str>),
}

/// A number to compare.
#[derive(Clone, Debug)]
pub(super) enum NumberOf {
    Call(Number),
    Constant(i64),
    Negative(Box<Self>),
    Sum(Box<[Self; 2]>),
    Difference(Box<[Self; 2]>),
    Product(Box<[Self; 2]>),
}

/// The parts of a condition, in the order of their evaluation, in this environment.
pub(super) fn parts(expression: &Arc<Expr>, environment: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    take_apart(expression, environment, &mut parts);
    parts
}

fn take_apart(expression: &Arc<Expr>, environment: &str, parts: &mut Vec<Part>) {
    if let Some(simple) = Simple::of(expression, environment) {
        parts.push(Part::Simple(simple));
    } else if let ExprKind::And { left, right } = expression.expr_kind() {
        take_apart(left, environment, parts);
        take_apart(right, environment, parts);
    } else {
        parts.push(Part::Cedar(expression.clone()));
    }
}

impl Simple {
    /// What a call comes to; none where it lacks what is looked at, which is an error to Cedar too.
    pub(super) fn holds(&self, call: &Question<'_>) -> Option<bool> {
        let fields = &call.fields;
        Some(match self {
            Self::Constant(holds) => *holds,
            Self::CalledBy(any) => any.iter().any(|it| it.is(call)),
            Self::AllThatIsLeft => fields.all_that_is_left()?,
            Self::HasText(text) => fields.text(*text).is_some(),
            Self::HasNumber(number) => fields.number(*number).is_some(),
            Self::SameText(one, other) => one.of(fields)? == other.of(fields)?,
            Self::OneOf(one, texts) => {
                let one = one.of(fields)?;
                texts.iter().any(|text| **text == *one)
            }
            Self::Like(text, pattern) => pattern.wildcard_match(text.of(fields)?),
            Self::SameNumber(one, other) => one.of(fields)? == other.of(fields)?,
            Self::Less(one, other) => one.of(fields)? < other.of(fields)?,
            Self::LessOrSame(one, other) => one.of(fields)? <= other.of(fields)?,
            Self::Not(it) => !it.holds(call)?,
            // The second is looked at only where it counts, as Cedar does.
            Self::Both(both) => both[0].holds(call)? && both[1].holds(call)?,
            Self::Either(either) => either[0].holds(call)? || either[1].holds(call)?,
            Self::If(three) => match three[0].holds(call)? {
                true => three[1].holds(call)?,
                false => three[2].holds(call)?,
            },
        })
    }

    /// Reads an expression; none where it is not so simple.
    fn of(expression: &Expr, environment: &str) -> Option<Self> {
        let of = |it: &Expr| Self::of(it, environment);
        let text = |it: &Expr| TextOf::read(it, environment);
        match expression.expr_kind() {
            ExprKind::Lit(Literal::Bool(holds)) => Some(Self::Constant(*holds)),
            ExprKind::And { left, right } => Some(Self::Both([of(left)?, of(right)?].into())),
            ExprKind::Or { left, right } => Some(Self::Either([of(left)?, of(right)?].into())),
            ExprKind::UnaryApp { op: UnaryOp::Not, arg } => Some(Self::Not(of(arg)?.into())),
            ExprKind::If { test_expr, then_expr, else_expr } => {
                Some(Self::If([of(test_expr)?, of(then_expr)?, of(else_expr)?].into()))
            }
            ExprKind::Is { expr, entity_type } if is_var(expr, Var::Principal) => {
                (entity_type.to_string() == "Service").then_some(Self::Constant(true))
            }
            ExprKind::BinaryApp { op: op @ (BinaryOp::Eq | BinaryOp::In), arg1, arg2 }
                if is_var(arg1, Var::Principal) =>
            {
                CallerOf::read(arg2, *op).map(Self::CalledBy)
            }
            ExprKind::Like { expr, pattern } => Some(Self::Like(text(expr)?, pattern.clone())),
            ExprKind::GetAttr { expr, attr } => {
                let is = attr == ALL_THAT_IS_LEFT && is_var(expr, Var::Context);
                is.then_some(Self::AllThatIsLeft)
            }
            ExprKind::HasAttr { expr, attr } if is_var(expr, Var::Context) => {
                let text = named(Text::ALL, attr).map(Self::HasText);
                text.or_else(|| named(Number::ALL, attr).map(Self::HasNumber))
            }
            ExprKind::BinaryApp { op: BinaryOp::Contains, arg1, arg2 } => {
                let ExprKind::Set(items) = arg1.expr_kind() else { return None };
                let texts: Option<_> = items.iter().map(constant).collect();
                Some(Self::OneOf(text(arg2)?, texts?))
            }
            ExprKind::BinaryApp { op, arg1, arg2 } => {
                let numbers = || Some((NumberOf::read(arg1)?, NumberOf::read(arg2)?));
                match op {
                    BinaryOp::Eq => match (text(arg1), text(arg2)) {
                        (Some(one), Some(other)) => Some(Self::SameText(one, other)),
                        _ => numbers().map(|(one, other)| Self::SameNumber(one, other)),
                    },
                    BinaryOp::Less => numbers().map(|(one, other)| Self::Less(one, other)),
                    BinaryOp::LessEq => numbers().map(|(one, other)| Self::LessOrSame(one, other)),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

impl CallerOf {
    fn is(&self, call: &Question<'_>) -> bool {
        match self {
            Self::Service(name) => *call.caller.as_str() == **name,
            Self::Namespace(name) => namespace(call.caller) == Some(name),
        }
    }

    /// Reads what stands behind `principal ==` or `principal in`.
    fn read(expression: &Expr, op: BinaryOp) -> Option<Vec<Self>> {
        match expression.expr_kind() {
            ExprKind::Lit(Literal::EntityUID(uid)) => Some(vec![Self::of(uid, op)?]),
            ExprKind::Set(items) if op == BinaryOp::In => {
                let read = |item| Self::read(item, op);
                items.iter().map(read).collect::<Option<Vec<_>>>().map(|all| all.concat())
            }
            _ => None,
        }
    }

    fn of(uid: &EntityUID, op: BinaryOp) -> Option<Self> {
        let name: &str = uid.eid().as_ref();
        match uid.entity_type().to_string().as_str() {
            // Each is in itself.
            "Service" => Some(Self::Service(name.into())),
            "Namespace" if op == BinaryOp::In => Some(Self::Namespace(name.into())),
            _ => None,
        }
    }
}

impl TextOf {
    fn of<'a>(&'a self, fields: &'a Fields<'_>) -> Option<&'a str> {
        match self {
            Self::Call(text) => fields.text(*text),
            Self::Constant(text) => Some(text),
        }
    }

    fn read(expression: &Expr, environment: &str) -> Option<Self> {
        match expression.expr_kind() {
            ExprKind::GetAttr { expr, attr } if is_var(expr, Var::Context) => {
                named(Text::ALL, attr).map(Self::Call)
            }
            // The account is the policy's own.
            ExprKind::GetAttr { expr, attr } if is_var(expr, Var::Resource) => {
                (attr == "environment").then(|| Self::Constant(environment.into()))
            }
            _ => constant(expression).map(Self::Constant),
        }
    }
}

impl NumberOf {
    /// None beyond 64 bits too, which is an error to Cedar.
    fn of(&self, fields: &Fields<'_>) -> Option<i64> {
        match self {
            Self::Call(number) => fields.number(*number),
            Self::Constant(number) => Some(*number),
            Self::Negative(number) => number.of(fields)?.checked_neg(),
            Self::Sum(two) => two[0].of(fields)?.checked_add(two[1].of(fields)?),
            Self::Difference(two) => two[0].of(fields)?.checked_sub(two[1].of(fields)?),
            Self::Product(two) => two[0].of(fields)?.checked_mul(two[1].of(fields)?),
        }
    }

    fn read(expression: &Expr) -> Option<Self> {
        match expression.expr_kind() {
            ExprKind::GetAttr { expr, attr } if is_var(expr, Var::Context) => {
                named(Number::ALL, attr).map(Self::Call)
            }
            ExprKind::Lit(Literal::Long(number)) => Some(Self::Constant(*number)),
            ExprKind::UnaryApp { op: UnaryOp::Neg, arg } => {
                Self::read(arg).map(|number| Self::Negative(number.into()))
            }
            ExprKind::BinaryApp { op, arg1, arg2 } => {
                let made_of = match op {
                    BinaryOp::Add => Self::Sum,
                    BinaryOp::Sub => Self::Difference,
                    BinaryOp::Mul => Self::Product,
                    _ => return None,
                };
                Some(made_of([Self::read(arg1)?, Self::read(arg2)?].into()))
            }
            _ => None,
        }
    }
}

fn is_var(expression: &Expr, var: Var) -> bool {
    matches!(expression.expr_kind(), ExprKind::Var(it) if *it == var)
}

fn constant(expression: &Expr) -> Option<Box<str>> {
    match expression.expr_kind() {
        ExprKind::Lit(Literal::String(text)) => Some(text.as_str().into()),
        _ => None,
    }
}

fn named<T, const COUNT: usize>(all: [(&str, T); COUNT], name: &str) -> Option<T> {
    all.into_iter().find(|(it, _)| *it == name).map(|(_, it)| it)
}
