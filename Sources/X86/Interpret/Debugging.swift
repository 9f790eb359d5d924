// A debugger's work in the interpreter. Blocks end before the page offset of every breakpoint, so that one can only be met
// where a block begins, and such blocks stay out of the jump cache: finding them the long way is where breakpoints are
// looked at. Watched pages have no TLB entries, so that accesses to them take the slow path and are looked at there.
// While nothing is asked for, all this costs one byte in a test that the loop makes anyway.

import CPrimitives
import VirtualCPU

/// What a debugger wants of a vCPU, in the form in which the loop needs it.
struct DebugWork {
    private(set) var control = DebugControl()
    /// Offsets in their pages of the breakpoints that there are or were since code was last forgotten. Offsets, since a
    /// block can be entered through several linear addresses; former ones, since debuggers take breakpoints out and put
    /// them back at every stop.
    private var offsets: Set<UInt16> = []
    private var readPages: Set<UInt64> = []
    private var writtenPages: Set<UInt64> = []
    /// The stop that `run` is to return.
    var stop: DebugStop?

    /// The largest area that one watchpoint may cover, in bytes.
    static let largestWatchpoint: UInt64 = 1 << 20

    private static func offset(_ linear: UInt64) -> UInt16 { UInt16(truncatingIfNeeded: linear & 0xfff) }

    /// Whether a block must end before this address, and one that begins there may stop.
    func cuts(at linear: UInt64) -> Bool { !offsets.isEmpty && offsets.contains(Self.offset(linear)) }

    /// Whether no entry for the page at `page` may be put into the TLB of a kind.
    func watches(page: UInt64, _ kind: Int) -> Bool {
        kind == TLB.read ? readPages.contains(page) : kind == TLB.write && writtenPages.contains(page)
    }

    /// Takes over what is wanted. True for `code` if decoded blocks are cut wrongly, for `pages` if the TLB may hold entries
    /// that it must not.
    mutating func take(_ new: DebugControl) -> (code: Bool, pages: Bool) {
        control = new
        stop = nil
        let cut = Set(new.breakpoints.map(Self.offset))
        let needsCuts = !cut.isSubset(of: offsets)
        offsets = needsCuts ? cut : offsets
        func pages(_ kinds: Set<Watchpoint.Kind>) -> Set<UInt64> {
            var found: Set<UInt64> = []
            for watchpoint in new.watchpoints where kinds.contains(watchpoint.kind) {
                let first = watchpoint.address & ~0xfff
                let others = ((watchpoint.address & 0xfff) + watchpoint.size - 1) >> 12
                for number in 0...others { found.insert(first &+ number << 12) }
            }
            return found
        }
        // A read-modify-write goes through a write entry alone.
        let (read, written) = (pages([.read, .access]), pages([.read, .write, .access]))
        let gains = !read.isSubset(of: readPages) || !written.isSubset(of: writtenPages)
        (readPages, writtenPages) = (read, written)
        return (needsCuts, gains)
    }
}

extension SoftwareCPU {
    package func setDebugControl(_ control: DebugControl) throws(EngineError) {
        for watchpoint in control.watchpoints {
            guard (1...DebugWork.largestWatchpoint).contains(watchpoint.size) else {
                throw EngineError("a watchpoint covers 1 to \(DebugWork.largestWatchpoint) bytes")
            }
        }
        let (code, pages) = debug.take(control)
        if code { forgetAllCode() }
        CPU(state).translation.pointee.debugWatching = !control.watchpoints.isEmpty
        if pages { CPU(state).flushTLB() }
        state.pointee.debugging = control.singleStep ? UInt8(TZ_DEBUG_STEP) : 0
    }

    // MARK: For the run loop

    /// Whether a breakpoint is at a linear address where a block begins; if so, it is noted as the reason to stop.
    func stopsAtBreakpoint(_ linear: UInt64) -> Bool {
        guard debug.control.breakpoints.contains(linear) else { return false }
        debug.stop = .breakpoint(linear)
        return true
    }

    /// An instruction is done, or its fault delivered: a single step ends here.
    @inline(__always) func noteStep() {
        guard _slowPath(state.pointee.debugging & UInt8(TZ_DEBUG_STEP) != 0) else { return }
        stopForDebugger(.step)
    }

    /// Interrupts wait while the debugger steps through a program that runs.
    var holdsInterrupts: Bool {
        state.pointee.debugging & UInt8(TZ_DEBUG_STEP) != 0 && debug.control.holdsInterrupts
            && state.pointee.activity != UInt8(TZ_HALTED)
    }

    /// The exit for the stop that is due, if one is.
    func takeDebugStop() -> Exit? {
        guard let stop = debug.stop else { return nil }
        debug.stop = nil
        state.pointee.debugging &= ~UInt8(TZ_DEBUG_STOP)
        return .debug(stop)
    }

    /// An access that took the slow path while some memory is watched.
    @inline(never)
    func noteAccess(_ linear: UInt64, size: Int, reads: Bool, writes: Bool) {
        for watchpoint in debug.control.watchpoints {
            let counts =
                switch watchpoint.kind {
                case .write: writes
                case .read: reads
                case .access: true
                }
            // Either area's first byte lies in the other.
            guard counts, linear &- watchpoint.address < watchpoint.size || watchpoint.address &- linear < UInt64(size)
            else { continue }
            let first = linear &- watchpoint.address < watchpoint.size ? linear : watchpoint.address
            return stopForDebugger(.watchpoint(watchpoint, address: first))
        }
    }

    /// Stops after the current instruction. The first reason counts.
    private func stopForDebugger(_ stop: DebugStop) {
        guard debug.stop == nil else { return }
        debug.stop = stop
        state.pointee.debugging |= UInt8(TZ_DEBUG_STOP)
        CPU(state).stopForAttention()
    }
}
