//! The transparency log as others ask for it: the checkpoint, a line's proof, tiles.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use super::{Authority, Signed};
use crate::checkpoint::LineProof;
use crate::ledger::LedgerError;
use crate::serial::CertificateSerial;
use crate::tlog::TILE;

impl Authority {
    /// The latest signed checkpoint.
    pub fn checkpoint(&self) -> Option<Arc<str>> {
        self.signed().map(|signed| signed.note)
    }

    /// That the line of this certificate's signing stands in the log.
    pub async fn proof_of(&self, serial: &CertificateSerial) -> Result<Option<LineProof>, LedgerError> {
        let Some(index) = self.ledger.signed_entry(serial).await? else { return Ok(None) };
        self.line_proof(index).await
    }

    /// The same for several, in their order.
    pub async fn proofs_of(
        &self,
        serials: &[CertificateSerial],
    ) -> Result<Vec<Option<LineProof>>, LedgerError> {
        let Some(Signed { size, note }) = self.signed() else { return Ok(vec![None; serials.len()]) };
        let lines = self.ledger.signed_lines(serials).await?;
        let indexes: Vec<u64> = lines.iter().map(|(_, index, _)| *index).collect();
        let paths = self.ledger.inclusions(&indexes, size).await?;
        let proofs = lines.into_iter().zip(paths).filter_map(|((serial, index, line), path)| {
            Some((serial, LineProof { line, index, path: path?, checkpoint: note.to_string() }))
        });
        let mut proofs: HashMap<CertificateSerial, LineProof> = proofs.collect();
        Ok(serials.iter().map(|serial| proofs.remove(serial)).collect())
    }

    /// That this line stands in the log.
    pub async fn line_proof(&self, index: u64) -> Result<Option<LineProof>, LedgerError> {
        let Some(Signed { size, note }) = self.signed() else { return Ok(None) };
        let Some(line) = self.ledger.bodies(index, 1).await?.pop() else { return Ok(None) };
        let path = self.ledger.inclusion(index, size).await?;
        Ok(path.map(|path| LineProof { line, index, path, checkpoint: note.to_string() }))
    }

    /// A tile of leaf hashes or of whole tiles' roots (C2SP tlog-tiles, levels 0 and 1), as far as the
    /// checkpoint goes; `width` below 256 for the last one.
    pub async fn tile(&self, level: u8, place: u64, width: u64) -> Result<Option<Vec<u8>>, LedgerError> {
        let size = self.signed().map_or(0, |signed| signed.size);
        let there = match level {
            0 => size,
            1 => size / TILE,
            _ => 0,
        };
        let from = place.saturating_mul(TILE);
        let to = from.saturating_add(width);
        if width == 0 || width > TILE || to > there {
            return Ok(None);
        }
        let hashes = match level {
            0 => self.ledger.leaves(from, width).await?,
            _ => self.ledger.growing().tile_roots(from, to),
        };
        Ok(Some(hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()))
    }

    fn signed(&self) -> Option<Signed> {
        self.checkpoint.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
