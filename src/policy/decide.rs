//! A policy in force: rules and limits of one folder, and how a call is decided.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::path::Path;
use std::str::FromStr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Decision as Effect, Entities, Entity, EntityId,
    EntityTypeName, EntityUid, PolicySet, Request, Response, RestrictedExpression,
};
use lru::LruCache;

use super::complaint::Complaints;
use super::decision::{Decision, Verdict};
use super::folder::Files;
use super::limits::{self, Limit};
use super::needs::Needs;
use super::rules::{Parts, Rule, Rules};
use super::schema::schema;
use super::{Action, Question};
use crate::domain::{Account, Caller, Environment};

/// Callers that are remembered with the rules that can speak of them; each takes some kilobytes.
const CALLERS: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// The stack for reading rules, in bytes; what is not used takes no memory.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// The rules and limits of one folder. It never changes; another one takes its place.
pub struct Policy {
    hash: Arc<str>,
    rules: Rules,
    limits: Vec<Limit>,
    place: (Account, Environment),
    authorizer: Authorizer,
    callers: Mutex<LruCache<Caller, Arc<Known>>>,
}

/// How a rule stands to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weighed {
    /// It is for other callers, actions or accounts.
    OutOfScope,
    /// It is for such calls, but not for this one.
    ConditionsNotMet,
    /// It applies.
    Applies,
    /// It cannot be evaluated.
    Failed,
}

/// A caller, with what the rules come to for it.
struct Known {
    principal: EntityUid,
    resource: EntityUid,
    entities: Entities,
    by_action: [OnceLock<Option<Narrowed>>; Action::ALL.len()],
}

/// The rules whose scope fits a caller and an action.
struct Narrowed {
    action: EntityUid,
    conditions: PolicySet,
    needs: Needs,
}

impl Policy {
    /// Reads a folder.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn load(folder: &Path, place: (Account, Environment)) -> Result<Self, Complaints> {
        Self::new(&Files::read(folder)?, place)
    }

    /// Reads the files of a folder, for an account and an environment.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn new(files: &Files, place: (Account, Environment)) -> Result<Self, Complaints> {
        let mut complaints = Complaints::default();
        let limits = files.limits.as_deref().map(|text| limits::read(text, &mut complaints));
        let limits = limits.unwrap_or_default();
        let rules = read_rules(files, &mut complaints);
        let policy = Self {
            hash: files.hash().into(),
            rules,
            limits,
            place,
            authorizer: Authorizer::new(),
            callers: Mutex::new(LruCache::new(CALLERS)),
        };
        complaints.or(policy)
    }

    /// Its name by its content, in hex.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The same, to be kept.
    #[must_use]
    pub fn hash_kept(&self) -> Arc<str> {
        self.hash.clone()
    }

    /// Its rules, in the order of files and lines.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules.list
    }

    /// Its limits, in the order of their file.
    #[must_use]
    pub fn limits(&self) -> &[Limit] {
        &self.limits
    }

    /// What the rules say. Whatever goes wrong on the way denies.
    #[must_use]
    pub fn decide(&self, question: &Question<'_>) -> Decision<'_> {
        let failed = Decision { verdict: Verdict::Failed, rules: Vec::new() };
        let Some(known) = self.known(question.caller) else { return failed };
        let narrowed = known.by_action[question.action as usize]
            .get_or_init(|| self.narrowed(&known, question.action));
        let Some(narrowed) = narrowed else { return failed };
        let Ok(context) = question.fields.context(&narrowed.needs) else { return failed };
        let Some(request) = known.request(&narrowed.action, context) else { return failed };
        let response =
            self.authorizer.is_authorized(&request, &narrowed.conditions, &known.entities);
        self.told(&response)
    }

    /// How each rule stands to a call, for those who want to know why it was decided so.
    #[must_use]
    pub fn weigh(&self, question: &Question<'_>) -> Vec<(&Rule, Weighed)> {
        let weigh = |parts: &Parts| {
            let known = self.known(question.caller)?;
            let action = uid("Action", question.action.as_str())?;
            let ask = |rule: &cedar_policy::Policy, context: Context| {
                let set = PolicySet::from_policies([rule.clone()]).ok()?;
                let request = known.request(&action, context)?;
                let response = self.authorizer.is_authorized(&request, &set, &known.entities);
                let diagnostics = response.diagnostics();
                if diagnostics.errors().next().is_some() {
                    return Some(Weighed::Failed);
                }
                let applies = diagnostics.reason().next().is_some();
                Some(if applies { Weighed::Applies } else { Weighed::ConditionsNotMet })
            };
            if ask(&parts.scope, Context::empty())? != Weighed::Applies {
                return Some(Weighed::OutOfScope);
            }
            ask(&parts.conditions, question.fields.context(&Needs::all()).ok()?)
        };
        let weighed = self.rules.parts.iter().map(|parts| weigh(parts).unwrap_or(Weighed::Failed));
        self.rules.list.iter().zip(weighed).collect()
    }

    /// True where the call has all that the schema asks for, and nothing else: for scenarios,
    /// which people write.
    ///
    /// # Errors
    /// What the schema says.
    pub(super) fn check(&self, question: &Question<'_>) -> Result<(), String> {
        let known = self.known(question.caller).ok_or("the caller cannot be named")?;
        let context = question.fields.context(&Needs::all()).map_err(|fault| fault.to_string())?;
        let (principal, resource) = (known.principal.clone(), known.resource.clone());
        let action = uid("Action", question.action.as_str()).ok_or("no such action")?;
        let request = Request::new(principal, action, resource, context, Some(schema()?));
        request.map(|_| ()).map_err(|fault| fault.to_string())
    }

    /// Cedar passes over a rule that it cannot evaluate, and a `forbid` that overflows would then
    /// allow: here such a rule denies.
    fn told(&self, response: &Response) -> Decision<'_> {
        let diagnostics = response.diagnostics();
        let failed: Vec<_> = diagnostics
            .errors()
            .map(|AuthorizationError::PolicyEvaluationError(error)| error.policy_id())
            .collect();
        let (verdict, ids) = match (failed.is_empty(), response.decision()) {
            (false, _) => (Verdict::Failed, failed),
            (true, Effect::Allow) => (Verdict::Permitted, diagnostics.reason().collect()),
            (true, Effect::Deny) => {
                let ids: Vec<_> = diagnostics.reason().collect();
                (if ids.is_empty() { Verdict::NoRule } else { Verdict::Forbidden }, ids)
            }
        };
        let mut rules: Vec<_> = ids.into_iter().filter_map(|id| self.rules.of(id)).collect();
        rules.sort_by_key(|(number, _)| *number);
        Decision { verdict, rules: rules.into_iter().map(|(_, rule)| rule).collect() }
    }

    fn known(&self, caller: &Caller) -> Option<Arc<Known>> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = callers.get(caller) {
            return Some(known.clone());
        }
        let known = Arc::new(Known::new(caller, &self.place)?);
        callers.put(caller.clone(), known.clone());
        Some(known)
    }

    /// Asks Cedar which rules' scopes fit.
    fn narrowed(&self, known: &Known, action: Action) -> Option<Narrowed> {
        let scopes = self.rules.parts.iter().map(|parts| parts.scope.clone());
        let scopes = PolicySet::from_policies(scopes).ok()?;
        let action = uid("Action", action.as_str())?;
        let request = known.request(&action, Context::empty())?;
        let response = self.authorizer.is_authorized(&request, &scopes, &known.entities);
        if response.diagnostics().errors().next().is_some() {
            return None;
        }
        let (mut conditions, mut needs) = (PolicySet::new(), Needs::default());
        for id in response.diagnostics().reason() {
            let (number, _) = self.rules.of(id)?;
            let parts = self.rules.parts.get(number)?;
            conditions.add(parts.conditions.clone()).ok()?;
            needs.add(&parts.needs);
        }
        Some(Narrowed { action, conditions, needs })
    }
}

/// On a thread with room for the parser, which goes as deep as a rule is long.
fn read_rules(files: &Files, complaints: &mut Complaints) -> Rules {
    std::thread::scope(|scope| {
        let read = || {
            let mut complaints = Complaints::default();
            (Rules::read(&files.rules, &mut complaints), complaints)
        };
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, read);
        let fault = match thread.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok((rules, found))) => {
                complaints.add(found);
                return rules;
            }
            Ok(Err(_)) => "could not be read: the parser gave up".to_owned(),
            Err(fault) => format!("could not be read: {fault}"),
        };
        complaints.about("the rules", fault);
        Rules::default()
    })
}

impl Known {
    fn new(caller: &Caller, place: &(Account, Environment)) -> Option<Self> {
        let (account, environment) = place;
        let principal = uid("Service", caller.as_str())?;
        let resource = uid("Account", account.as_str())?;
        let namespace = namespace(caller).map(|name| uid("Namespace", name));
        let parents: HashSet<_> = namespace.into_iter().flatten().collect();
        let environment = RestrictedExpression::new_string(environment.as_str().to_owned());
        let attributes = HashMap::from([("environment".to_owned(), environment)]);
        let entities = [
            Entity::new_no_attrs(principal.clone(), parents),
            Entity::new(resource.clone(), attributes, HashSet::new()).ok()?,
        ];
        // The schema adds the actions and their groups.
        let entities = Entities::from_entities(entities, Some(schema().ok()?)).ok()?;
        Some(Self { principal, resource, entities, by_action: Default::default() })
    }

    fn request(&self, action: &EntityUid, context: Context) -> Option<Request> {
        let (principal, resource) = (self.principal.clone(), self.resource.clone());
        Request::new(principal, action.clone(), resource, context, None).ok()
    }
}

fn uid(kind: &str, id: &str) -> Option<EntityUid> {
    let kind = EntityTypeName::from_str(kind).ok()?;
    Some(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

/// The namespace of a caller that is called `namespace/serviceaccount`.
fn namespace(caller: &Caller) -> Option<&str> {
    let (namespace, account) = caller.as_str().split_once('/')?;
    (!account.contains('/') && !namespace.contains(':')).then_some(namespace)
}

#[cfg(test)]
mod tests;
