// The interpreter as a part of another engine: what drives a software vCPU from outside steps it through these few
// functions, on the vCPU's own thread.

import CPrimitives
import VirtualCPU

extension SoftwareCPU {
    /// To be called when the vCPU's thread begins to execute the guest, and when it ends: between the two it answers
    /// the requests of other threads in `attendToEvents`.
    package func beginRunning() {
        requests.running.store(true, ordering: .sequentiallyConsistent)
        if state.pointee.activity != UInt8(TZ_ACTIVE) { requestAttention() }
        startCounting()
        beginParavirtual()
    }

    /// See `beginRunning`.
    package func endRunning() {
        stopCounting()
        requests.running.store(false, ordering: .sequentiallyConsistent)
    }

    /// Whether `attendToEvents` has anything to look at. What happens from now on stops generated code at its next poll.
    @inline(__always) package var isWanted: Bool {
        tz_calm_polls(state)
        return tz_atomic_load(&state.pointee.attention) != 0
    }

    /// Takes interrupts and requests that are due, between two instructions. Returns an exit when the machine has to
    /// decide.
    package func attendToEvents() -> Exit? { attend() }

    /// Whether the next instruction needs nothing but what its block says: no breakpoint, single step or interrupt shadow, no
    /// alignment check, a mode that generated code knows, and a privilege of 0 or 3, so that supervisor code has all privileges.
    @inline(__always) package var runsPlainly: Bool {
        let special =
            state.pointee.shadow & Self.instructionShadow | state.pointee.breakpoints | state.pointee.alignment_checks
            | state.pointee.trap_after
        let cpl = state.pointee.cpl
        return special == 0 && state.pointee.plain_code != 0 && cpl & 1 == cpl >> 1
    }

    /// The host address of bytes that an access is going to be made to, or that several are: see `CPU.reachAhead`.
    package func reachAhead(_ linear: UInt64, size: Int, writes: Bool) -> UnsafeMutableRawPointer? {
        CPU(state).reachAhead(linear, size: size, writes ? .write : .read)
    }

    /// What comes next is executed, and not an interrupt.
    @inline(__always) package func beginInstruction() { CPU(state).beginInstruction() }

    /// Interprets the block at RIP, or its first `remaining` instructions.
    package func interpretBlock(_ remaining: UInt64) { _ = step(remaining) }

    /// Interprets a block that `lookUpBlock` found at RIP, or its first `remaining` instructions.
    package func interpret(_ block: UnsafeMutablePointer<Block>, _ remaining: UInt64) {
        do throws(GuestFault) { try execute(block, remaining: remaining) } catch { deliver(error) }
    }

    /// Interprets the instruction at RIP.
    package func interpretInstruction() { _ = step(1) }

    /// The block at RIP; nil after the fault of fetching it, which is delivered. Not for a vCPU that a debugger stops.
    @inline(__always) package func lookUpBlock() -> UnsafeMutablePointer<Block>? {
        do throws(GuestFault) { return try currentBlock() } catch {
            CPU(state).raise(error)
            CPU(state).deliverPendingFault()
            return nil
        }
    }

    /// The block that begins where a block ends, in the same page and mode, if it has been decoded; neither crosses into another
    /// page.
    package func blockBehind(_ block: UnsafeMutablePointer<Block>) -> UnsafeMutablePointer<Block>? {
        let address = block.pointee.address + UInt64(block.pointee.size)
        guard block.pointee.secondPage == Block.noPage, (address ^ block.pointee.address) >> 12 == 0,
            let next = codeCache.find(address, mode: block.pointee.mode), next.pointee.secondPage == Block.noPage
        else { return nil }
        return next
    }

    /// The bytes of a block's code, as they are in memory now; none if they are not in memory.
    package func guestCode(of block: UnsafeMutablePointer<Block>) -> [UInt8] {
        let size = Int(block.pointee.size)
        let first = min(size, 4096 - Int(block.pointee.address & 0xfff))
        func bytes(_ address: UInt64, _ count: Int) -> [UInt8] {
            guard count > 0, let slot = vm.slots.slot(containing: address) else { return [] }
            return Array(UnsafeRawBufferPointer(start: slot.pointee.pointer(address), count: count))
        }
        return bytes(block.pointee.address, first) + bytes(block.pointee.secondPage << 12, size - first)
    }

    /// Whether anything is traced; records say how many instructions have retired.
    package var isTraced: Bool { !traced.isEmpty }

    /// Whether every instruction is traced, which generated code does not do.
    package var tracesInstructions: Bool { state.pointee.tracing != 0 }

    /// Forgets all decoded code, to make room.
    package func forgetAllBlocks() { forgetAllCode() }

    /// Delivers the fault that an instruction's handler left, with RIP behind the instruction.
    package func deliverFault(of instruction: UnsafePointer<tz_instruction>) {
        state.pointee.rip &-= UInt64(instruction.pointee.length)
        CPU(state).deliverPendingFault(instruction)
    }

    /// Where the TLB table of a kind and context (`TZ_TLB_*`) lies, from the state in bytes.
    package static func tlbTable(_ kind: Int, context: Int) -> Int {
        tlbOffset + (kind * TLB.contexts + context) * TLB.entries * MemoryLayout<tz_tlb_entry>.stride
    }
}
