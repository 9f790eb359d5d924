// Finding the very instruction: both engines go from the last checkpoint again, side by side, as replicas. By halving the
// way, since either's way is always the same: at the lower end they are the same, at the upper end they are not.

import Memory
import VirtualCPU

/// A way that was found to end in a difference.
struct Narrowing {
    let reference: any Engine
    let against: any Engine
    let model: EngineConfiguration
    let checkpoint: Checkpoint
    let journal: Journal
    /// Questions to devices before the checkpoint.
    let eventsBefore: Int

    /// How many instructions the history shows.
    private static let historyLength: UInt64 = 16

    /// A replica on its way.
    private struct Walk {
        let replica: Replica
        let journal: Journal
        private var slice = 0
        private var offset: UInt64 = 0
        private var hasBegun = false
        private var done: UInt64 = 0

        init(_ replica: Replica, _ journal: Journal) {
            self.replica = replica
            self.journal = journal
        }

        /// The same place with another replica, which has taken everything over.
        func handed(to other: Replica) -> Walk {
            var walk = Walk(other, journal)
            (walk.slice, walk.offset, walk.hasBegun, walk.done) = (slice, offset, hasBegun, done)
            return walk
        }

        /// The vCPU that ran last.
        var vcpu: Int {
            let index = offset == 0 && !hasBegun ? slice - 1 : slice
            return journal.slices.indices.contains(index) ? journal.slices[index].vcpu : 0
        }

        /// Goes on until `count` instructions are done; beyond all of them, to how the last slice ends.
        mutating func go(to count: UInt64) -> Departure? {
            while slice < journal.slices.count {
                let current = journal.slices[slice]
                let left = current.instructions - offset
                let stopsHere = count <= journal.instructions && count - done <= left
                if stopsHere, count == done { return nil }
                if !hasBegun { replica.begin(current) }
                hasBegun = true
                let step = stopsHere ? count - done : left
                if let departure = replica.advance(current, journal.exchanges, by: step, toEnd: !stopsHere) {
                    return departure
                }
                done += step
                offset += step
                if stopsHere { return nil }
                (slice, offset, hasBegun) = (slice + 1, 0, false)
            }
            return nil
        }
    }

    /// Finds the first instruction after which the engines differ. Nil if the difference does not come up again.
    func find() throws(EngineError) -> Difference? {
        var low: UInt64 = 0
        var high = journal.instructions + 1
        guard var found = try difference(after: high) else { return nil }
        while high - low > 1 {
            let middle = low + (high - low) / 2
            if let difference = try difference(after: middle) {
                (high, found) = (middle, difference)
            } else {
                low = middle
            }
        }
        found.lastSame = checkpoint.instructions + low
        found.firstDifferent = checkpoint.instructions + high
        found.isExact = true
        found.history = try history(before: min(high, journal.instructions))
        return found
    }

    /// What differs after `count` instructions from the checkpoint; nil if nothing does.
    private func difference(after count: UInt64) throws(EngineError) -> Difference? {
        var first = Walk(try Replica(reference, like: model, from: checkpoint), journal)
        var second = Walk(try Replica(against, like: model, from: checkpoint), journal)
        if let departure = first.go(to: count) {
            throw EngineError("the reference does not go the same way again: \(departure.text)")
        }
        let departure = second.go(to: count)
        var difference = Difference(
            lastSame: 0, firstDifferent: 0, isExact: false, time: first.replica.clock.now(),
            events: eventsBefore + first.replica.exchangesUsed, vcpu: first.vcpu, departure: departure)
        difference.compare(try first.replica.states(), try second.replica.states())
        for region in first.replica.memory.regions where !region.readOnly {
            for page in 0..<Int(region.size >> pageShift) {
                let mine = region.dirty[page]
                let other = second.replica.memory.regions.first { $0.base == region.base }?.dirty[page]
                guard mine != 0 || other != 0 else { continue }
                if let page = first.replica.memory.difference(page, of: region, from: second.replica.memory) {
                    difference.add(page)
                }
            }
        }
        return difference.isThere ? difference : nil
    }

    /// The instructions that the reference executes up to `count`, as a trace shows them; none if it can't trace them.
    private func history(before count: UInt64) throws(EngineError) -> [String] {
        guard case .available(let capabilities) = reference.probe(),
            capabilities.traceEvents.isSuperset(of: History.kinds)
        else { return [] }
        let walk = Walk(try Replica(reference, like: model, from: checkpoint), journal)
        var plain = walk
        let start = count - min(count, Self.historyLength)
        if let departure = plain.go(to: start) { throw EngineError(departure.text) }
        let here = Checkpoint(
            memory: plain.replica.memory, cpus: try plain.replica.states(), time: plain.replica.clock.now(),
            instructions: checkpoint.instructions + start)
        let history = History()
        let traced = try Replica(reference, like: model, from: here, trace: history)
        traced.exchangesUsed = plain.replica.exchangesUsed
        var last = plain.handed(to: traced)
        _ = last.go(to: count)
        return history.lines(endingAt: checkpoint.instructions + count)
    }
}

/// Collects the lines of a few instructions.
// Sendable: used by one thread.
private final class History: TraceSink, @unchecked Sendable {
    static let kinds: TraceKinds = [.instructions, .exceptions, .interrupts]
    private var records: [TraceRecord] = []

    var events: TraceKinds { Self.kinds }

    func record(_ record: TraceRecord) { records.append(record) }

    /// The lines, instructions counted over all vCPUs so that the last one is the `end`th.
    func lines(endingAt end: UInt64) -> [String] {
        func retires(_ record: TraceRecord) -> Bool {
            if case .instruction = record.event { true } else { false }
        }
        var number = end - UInt64(records.count(where: retires))
        return records.map { record in
            var record = record
            if retires(record) { number += 1 }
            record.instructions = number
            var text = TraceText()
            record.append(to: &text)
            return String(decoding: text.bytes.dropLast(), as: UTF8.self)
        }
    }
}
