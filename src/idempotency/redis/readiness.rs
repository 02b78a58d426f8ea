//! Whether the store may be used at all.

use redis::Value;

use super::names::Keys;
use super::reply::strange;
use super::{Common, RedisStore, script};
use crate::idempotency::step::KeyCheck;
use crate::idempotency::store::{InitAnswer, NotReady, StoreError};

/// Keys looked at in one step of the search for records.
const SCAN_COUNT: u32 = 1_000;

impl RedisStore {
    pub(super) async fn check(&self, keys: &[KeyCheck]) -> Result<Vec<NotReady>, StoreError> {
        let mut faults = Vec::new();
        if let Some(policy) = self.info("memory", "maxmemory_policy").await?
            && policy != "noeviction"
        {
            faults.push(NotReady::Evicts(policy));
        }
        match self.announce(keys).await {
            Ok(found) => faults.extend(found),
            Err(StoreError::Refused(refusal)) if refusal.text().contains("READONLY") => {
                faults.push(NotReady::ReadOnly);
            }
            Err(error) => return Err(error),
        }
        Ok(faults)
    }

    async fn announce(&self, keys: &[KeyCheck]) -> Result<Vec<NotReady>, StoreError> {
        let names = Keys::of_account("fingerprint-keys");
        let args = self.args(&script::ANNOUNCE, names, "", Common::NONE);
        let args = keys.iter().fold(args, |args, key| {
            args.text(hex::encode(key.key_id)).text(hex::encode(key.check))
        });
        let reply = self.run(args).await?;
        let mut faults = Vec::new();
        for index in (0..reply.rest.len()).step_by(2) {
            let id = reply.text(index + 1)?;
            faults.push(match reply.text(index)?.as_str() {
                "DIFFERS" => NotReady::KeyDiffers(id),
                _ => NotReady::ForeignKey(id),
            });
        }
        Ok(faults)
    }

    /// A field of INFO.
    async fn info(&self, section: &str, field: &str) -> Result<Option<String>, StoreError> {
        let value = self.link.command(redis::cmd("INFO").arg(section)).await?;
        let text: String = redis::from_redis_value(value).map_err(|_| strange("INFO"))?;
        let found = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            (name == field).then(|| value.trim().to_owned())
        });
        Ok(found)
    }

    pub(super) async fn declare_new(&self) -> Result<InitAnswer, StoreError> {
        if self.has_records().await? {
            return Ok(InitAnswer::HasRecords);
        }
        let args = self.args(&script::INIT, Keys::of_account("canary"), "", Common::NONE);
        let reply = self.run(args).await?;
        match reply.word.as_str() {
            "DECLARED" => Ok(InitAnswer::Declared),
            "HAS_RECORDS" => Ok(InitAnswer::HasRecords),
            _ => reply.unknown(),
        }
    }

    /// Searches the whole database; an operator's command may take its time. Each page is a step
    /// of its own, so a record may be born meanwhile: the script looks at the canary for that.
    async fn has_records(&self) -> Result<bool, StoreError> {
        // The hash tag's braces mean nothing to a pattern, and an account's name holds none of
        // the characters that do.
        let pattern = self.names.record("*");
        let mut cursor = "0".to_owned();
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(&cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(SCAN_COUNT);
            let page: Value = self.link.command(&scan).await?;
            let (next, found): (String, Vec<String>) =
                redis::from_redis_value(page).map_err(|_| strange("page"))?;
            if !found.is_empty() {
                return Ok(true);
            }
            if next == "0" {
                return Ok(false);
            }
            cursor = next;
        }
    }
}
