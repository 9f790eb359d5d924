// Decoded code follows memory: how a write to bytes that were decoded, by this vCPU, another one or a device, makes
// every vCPU forget what it made of them.
//
// A page from which code was decoded is marked in its slot, and while it is, no TLB of any vCPU holds a write entry for
// it: a vCPU marks a page and has everybody's entries revoked before it reads the first byte. Writes to a marked page
// therefore take the slow path, which ends here: if the bytes lie in lines that hold code, the mark goes and every vCPU
// is asked to drop the page's blocks. It does so before its next block, hence before any interrupt by which the writer
// could tell it of the change.
//
// Who decodes notes the lines and then compares the bytes again; who writes does so and then looks at the lines. With a
// fence between the two on either side, one of them sees the other.

import CPrimitives
import Glibc
import Synchronization

/// Requests of other threads to one vCPU.
final class CodeRequests: Sendable {
    struct Lists {
        /// Guest-physical pages whose blocks are to be dropped.
        var pages: [UInt64] = []
        /// Host pages for which write entries are to be revoked.
        var revocations: [UInt] = []
    }

    let lists = Mutex(Lists())
    /// Revocations asked for and done, each counted from the start.
    let asked = Atomic<UInt64>(0)
    let done = Atomic<UInt64>(0)
    /// The vCPU is inside `run`; outside of it, requests wait until it enters.
    let running = Atomic<Bool>(false)
}

/// What the mark of a page says: 0, no code was decoded from it since it was last written; otherwise the number of the
/// marking, and whether all write entries were revoked since.
enum CodeMark {
    static let complete: UInt32 = 1 << 31
}

extension SoftwareVM {
    /// Memory was written, and `writer` (nil for a device or a loader) has seen to its own code: asks every other vCPU to
    /// drop blocks made from the bytes. True if there were any.
    @discardableResult
    func codeBytesWritten(_ address: UInt64, size: UInt64, by writer: SoftwareCPU?) -> Bool {
        guard size > 0, let slot = slots.slot(containing: address) else { return false }
        let end = min(address &+ size, slot.pointee.base + slot.pointee.size)
        var changed = false
        var start = address
        // The bytes are visible before the marks are looked at.
        tz_fence()
        while start < end {
            let next = min((start | 0xfff) + 1, end)
            let page = slot.pointee.page(start)
            if tz_load32(slot.pointee.code + page) != 0,
                tz_atomic_load(slot.pointee.codeLines + page) & codeLines(from: start & 0xfff, count: next - start) != 0
            {
                codeLock.withLock { _ in
                    tz_store32(slot.pointee.code + page, 0)
                    tz_atomic_store(slot.pointee.codeLines + page, 0)
                }
                for vcpu in vcpus where vcpu !== writer {
                    vcpu.requests.lists.withLock { $0.pages.append(start >> 12) }
                    vcpu.noteRequest()
                }
                writer?.dropCode(page: start >> 12)
                changed = true
            }
            start = next
        }
        return changed
    }
}

/// One bit for each 64-byte line of a page that [offset, offset + count) touches.
func codeLines(from offset: UInt64, count: UInt64) -> UInt64 {
    guard count > 0 else { return 0 }
    let last = min(offset + count - 1, 4095) >> 6
    return (UInt64.max << (offset >> 6)) & (UInt64.max >> (63 - last))
}

extension SoftwareCPU {
    /// This vCPU has written to memory in a page that holds decoded code.
    func codeWritten(_ physicalAddress: UInt64, size: Int = 8) {
        if vm.codeBytesWritten(physicalAddress, size: UInt64(size), by: self) { CPU(state).endBlock() }
    }

    /// Does what other threads asked for.
    func serveRequests() {
        var lists = CodeRequests.Lists()
        requests.lists.withLock { swap(&$0, &lists) }
        for page in lists.pages { dropCode(page: page) }
        guard !lists.revocations.isEmpty else { return }
        for page in lists.revocations {
            if let host = UnsafeMutableRawPointer(bitPattern: page) { CPU(state).revokeWriteEntries(host: host) }
        }
        requests.done.add(UInt64(lists.revocations.count), ordering: .sequentiallyConsistent)
    }

    /// Forgets the blocks with bytes in a page.
    func dropCode(page: UInt64) {
        codeCache.removePage(page)
        state.pointee.counters.code_invalidations += 1
    }

    /// Makes room in the code cache by forgetting all of it. The marks stay: they cost writes a look, nothing else.
    func forgetAllCode() {
        codeObserver?.allBlocksForgotten()
        codeCache.removeAll()
        forgetJumps()
    }

    // MARK: Where linear addresses lead

    /// Everything may lead elsewhere.
    func forgetJumps() { forgetJumps(user: true, supervisor: true) }

    /// Everything may, where the page tables do not say the same as before.
    func reviewJumps() { reviewJumps(user: true, supervisor: true) }

    /// What is not in global pages may, likewise.
    func reviewNonGlobalJumps() { reviewJumps(user: true, supervisor: !jumpPages.supervisorIsGlobal) }

    /// One 4-KiB page may, likewise.
    func reviewJumps(page linear: UInt64) {
        forgetJumps(
            user: !jumpPages.user.stillLeads(linear, userLeads),
            supervisor: !supervisorLeads { jumpPages.supervisor.stillLeads(linear, $0) })
    }

    /// One may as soon as the handler of its fault says so, which need not flush it. Returns true if code was found there.
    func forgetJumps(faulting linear: UInt64) -> Bool {
        let user = jumpPages.user.contains(linear)
        let supervisor = jumpPages.supervisor.contains(linear)
        forgetJumps(user: user, supervisor: supervisor)
        return user || supervisor
    }

    private func reviewJumps(user: Bool, supervisor: Bool) {
        forgetJumps(
            user: user && !jumpPages.user.stillLead(userLeads),
            supervisor: supervisor && !supervisorLeads { jumpPages.supervisor.stillLead($0) })
    }

    private func userLeads(_ linear: UInt64, _ physical: UInt64) -> Bool {
        CPU(state).fetchLeads(linear, to: physical, context: TLB.user) != nil
    }

    /// The answer to a question about supervisor pages.
    private func supervisorLeads(_ ask: (_ leads: (UInt64, UInt64) -> Bool) -> Bool) -> Bool {
        var areGlobal = true
        let answer = ask { linear, physical in
            guard let page = CPU(state).fetchLeads(linear, to: physical, context: TLB.supervisor) else { return false }
            if !page.isGlobal { areGlobal = false }
            return true
        }
        // They may have been when they were found.
        if !areGlobal { jumpPages.supervisorIsGlobal = false }
        return answer
    }

    private func forgetJumps(user: Bool, supervisor: Bool) {
        guard user || supervisor else { return }
        if user { jumpPages.user.removeAll() }
        if supervisor {
            jumpPages.supervisor.removeAll()
            jumpPages.supervisorIsGlobal = true
        }
        jumpCache.flush(user: user, supervisor: supervisor)
        codeObserver?.jumpsForgotten(user: user, supervisor: supervisor)
    }

    /// Notes that a block was found at a linear address, `second` being that of the page that it reaches into.
    func noteJump(_ linear: UInt64, second: UInt64, _ block: UnsafeMutablePointer<Block>) {
        let isUser = state.pointee.tlb_context == UInt8(TZ_TLB_USER)
        notePage(linear, physical: block.pointee.address, isUser: isUser)
        guard block.pointee.secondPage != Block.noPage else { return }
        notePage(second, physical: block.pointee.secondPage << 12, isUser: isUser)
    }

    private func notePage(_ linear: UInt64, physical: UInt64, isUser: Bool) {
        guard !isUser else { return jumpPages.user.insert(linear, physical: physical) }
        jumpPages.supervisor.insert(linear, physical: physical)
        if !CPU(state).isFetchGlobal(linear) { jumpPages.supervisorIsGlobal = false }
    }

    func memoryMapChanged() {
        forgetAllCode()
        joinedPages.forget()
        CPU(state).memoryMapChanged()
    }

    // MARK: Before decoding

    /// Marks the page at a guest-physical address as one that holds code, and returns when no vCPU can write to it
    /// unnoticed any more. To be called before its bytes are read.
    func markCodePage(_ physicalAddress: UInt64) {
        guard let slot = CPU(state).slot(containing: physicalAddress) else { return }
        let page = slot.pointee.page(physicalAddress)
        // A mark that another vCPU has only just made, with write entries still about, is not enough.
        guard tz_load32(slot.pointee.code + page) & CodeMark.complete == 0 else { return }
        let host = slot.pointee.host + page << 12
        let mark = vm.codeLock.withLock { markings in
            var mark = tz_load32(slot.pointee.code + page)
            if mark == 0 {
                markings = markings % (CodeMark.complete - 1) + 1
                mark = markings
                tz_store32(slot.pointee.code + page, mark)
            }
            return mark & ~CodeMark.complete
        }
        CPU(state).revokeWriteEntries(host: host)
        for vcpu in vm.vcpus where vcpu !== self { vcpu.requestRevocation(host) }
        for vcpu in vm.vcpus where vcpu !== self { awaitRevocations(of: vcpu) }
        vm.codeLock.withLock { _ in
            // Not if a write took the mark away meanwhile, whether somebody has made a new one or not.
            if tz_load32(slot.pointee.code + page) == mark {
                tz_store32(slot.pointee.code + page, mark | CodeMark.complete)
            }
        }
    }

    /// Whether a page still counts as one that holds code; a write to it may have taken the mark away. True where there is no
    /// memory, whose bytes never change.
    func isMarked(_ physicalAddress: UInt64) -> Bool {
        guard let slot = CPU(state).slot(containing: physicalAddress) else { return true }
        return tz_load32(slot.pointee.code + slot.pointee.page(physicalAddress)) & CodeMark.complete != 0
    }

    /// Notes which lines of a page were decoded.
    func noteCodeLines(_ physicalAddress: UInt64, count: UInt64) {
        guard let slot = CPU(state).slot(containing: physicalAddress) else { return }
        let lines = codeLines(from: physicalAddress & 0xfff, count: count)
        _ = tz_atomic_or(slot.pointee.codeLines + slot.pointee.page(physicalAddress), lines)
    }

    private func requestRevocation(_ host: UnsafeMutableRawPointer) {
        requests.asked.add(1, ordering: .sequentiallyConsistent)
        requests.lists.withLock { $0.revocations.append(UInt(bitPattern: host)) }
        noteRequest()
    }

    /// Waits for a vCPU that runs to have done all that it was asked; one that does not run will before it does. Serves
    /// own requests meanwhile, since the other may be waiting in the same way.
    private func awaitRevocations(of other: SoftwareCPU) {
        let ticket = other.requests.asked.load(ordering: .sequentiallyConsistent)
        while other.requests.running.load(ordering: .sequentiallyConsistent),
            other.requests.done.load(ordering: .sequentiallyConsistent) < ticket
        {
            serveRequests()
            sched_yield()
        }
    }
}
