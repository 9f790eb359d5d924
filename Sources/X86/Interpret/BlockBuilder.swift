// Finding the block at the current RIP: jump cache, else page walk and code cache, else decoding.

import CPrimitives
import Glibc
import VirtualCPU

extension SoftwareCPU {
    /// The block at the current RIP; nil if the debugger has a breakpoint there, and `debug.stop` says so. Throws the fault of
    /// fetching it.
    @inline(__always) func currentBlock() throws(GuestFault) -> UnsafeMutablePointer<Block>? {
        let cpu = CPU(state)
        let linear =
            cpu.in64BitMode
            ? state.pointee.rip : (state.pointee.rip &+ state.pointee.segments.1.base) & 0xffff_ffff
        let context = decodeContext
        if let block = jumpCache.find(linear, context: context), block.pointee.valid { return block }
        return try findBlock(linear, context: context)
    }

    /// What a block's code depends on besides its bytes, and who may fetch it (the TLB context).
    @inline(__always) private var decodeContext: UInt64 {
        UInt64(state.pointee.code_mode) | UInt64(state.pointee.tlb_context) << 4
    }

    @inline(never)
    private func findBlock(_ linear: UInt64, context: UInt64) throws(GuestFault) -> UnsafeMutablePointer<Block>? {
        let cpu = CPU(state)
        let fetched = try cpu.fetchPointer(linear)
        let mode = UInt8(context & blockModeMask)
        if let block = codeCache.find(fetched.physical, mode: mode) {
            if block.pointee.secondPage == Block.noPage { return remember(block, linear, context) }
            // The mapping of the second page may have changed since.
            let second = try cpu.fetchPointer(nextPage(linear))
            if second.physical >> 12 == block.pointee.secondPage { return remember(block, linear, context) }
            codeCache.removePage(block.pointee.secondPage)
            forgetJumps()
        }
        return remember(try buildBlock(linear, fetched, mode: mode), linear, context)
    }

    /// A block that may stop is looked up the long way every time, so that breakpoints cost the others nothing.
    private func remember(
        _ block: UnsafeMutablePointer<Block>, _ linear: UInt64, _ context: UInt64
    ) -> UnsafeMutablePointer<Block>? {
        noteJump(linear, second: nextPage(linear), block)
        if block.pointee.mayStop { return stopsAtBreakpoint(linear) ? nil : block }
        jumpCache.insert(block, at: linear, context: context)
        return block
    }

    private func nextPage(_ linear: UInt64) -> UInt64 {
        let next = (linear | 0xfff) &+ 1
        return CPU(state).in64BitMode ? next : next & 0xffff_ffff
    }

    /// Decodes from `linear` to the end of the block: a branch, an instruction that may change how to go on, the end of
    /// the page, a place where a debugger may want to stop, or `Block.maximumCount` instructions. Works on a copy of the
    /// bytes, and again if they have changed by the time that writers can know of the block.
    private func buildBlock(
        _ linear: UInt64, _ fetched: FetchPage, mode: UInt8
    ) throws(GuestFault) -> UnsafeMutablePointer<Block> {
        if codeCache.room() == nil { forgetAllCode() }
        let instructions = codeCache.room().unsafelyUnwrapped
        while true {
            markCodePage(fetched.physical)
            codeBytes.take(fetched.host, count: 4096 - Int(linear & 0xfff))
            let (count, second) = try decodeBlock(linear, into: instructions)
            let size = codeBytes.position
            noteCodeLines(fetched.physical, count: UInt64(min(size, codeBytes.firstCount)))
            if let second { noteCodeLines(second.physical, count: UInt64(size - codeBytes.firstCount)) }
            guard isMarked(fetched.physical), second.map({ isMarked($0.physical) }) ?? true,
                codeBytes.stand(fetched.host, second?.host)
            else { continue }
            state.pointee.counters.blocks_decoded += 1
            return codeCache.insert(
                Block(
                    address: fetched.physical, mode: mode, valid: true, mayStop: debug.cuts(at: linear),
                    count: UInt16(count), size: UInt16(size),
                    secondPage: second.map { $0.physical >> 12 } ?? Block.noPage, instructions: instructions))
        }
    }

    /// Decodes `codeBytes`; returns the number of instructions, and the second page if the last one goes on there.
    private func decodeBlock(
        _ linear: UInt64, into instructions: UnsafeMutablePointer<tz_instruction>
    ) throws(GuestFault) -> (count: Int, second: FetchPage?) {
        let cpu = CPU(state)
        let mode = DecodeMode(codeWidth: state.pointee.code_width, realOrVirtual8086: cpu.realOrVirtual8086)
        var second: FetchPage?
        var count = 0
        let offer = instructionSet
        while count < Block.maximumCount, codeBytes.position < codeBytes.firstCount {
            if count > 0, debug.cuts(at: linear &+ UInt64(codeBytes.position)) { break }
            let out = instructions + count
            var outcome = decode(codeBytes.next, count: codeBytes.remaining, mode: mode, into: out)
            if outcome != .complete, count > 0 { break }  // left to a block of its own, whose fetch may fault
            if outcome == .truncated {
                let page = try cpu.fetchPointer(nextPage(linear))
                markCodePage(page.physical)
                codeBytes.append(page.host)
                second = page
                outcome = decode(codeBytes.next, count: codeBytes.remaining, mode: mode, into: out)
            }
            guard outcome == .complete else { throw .generalProtection() }
            codeBytes.position += Int(out.pointee.length)
            out.pointee.handler = selectHandler(out, offer)
            count += 1
            if out.pointee.flags & UInt8(TZ_INSN_ENDS_BLOCK) != 0 { break }
        }
        return (count, second)
    }
}

/// A copy of the bytes from which a block is decoded: those of its page, and the next page's if its last instruction
/// goes on there.
struct CodeBytes: ~Copyable {
    private static let longest = 15
    private static let limit = Block.maximumCount * longest
    // SAFETY: room for `limit` bytes and one more instruction's, owned by this value.
    private let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: limit + longest)
    private var count = 0
    /// Bytes of the first page.
    private(set) var firstCount = 0
    /// Bytes decoded so far.
    var position = 0

    deinit { bytes.deallocate() }

    var next: UnsafePointer<UInt8> { UnsafePointer(bytes + position) }
    var remaining: Int { count - position }

    /// Starts over with what is left of a page, `available` bytes.
    mutating func take(_ host: UnsafePointer<UInt8>, count available: Int) {
        count = min(available, Self.limit)
        firstCount = count
        position = 0
        bytes.update(from: host, count: count)
    }

    /// Adds the next page's first bytes.
    mutating func append(_ host: UnsafePointer<UInt8>) {
        (bytes + count).update(from: host, count: Self.longest)
        count += Self.longest
    }

    /// Whether memory still holds what was decoded.
    func stand(_ first: UnsafePointer<UInt8>, _ second: UnsafePointer<UInt8>?) -> Bool {
        guard memcmp(bytes, first, min(position, firstCount)) == 0 else { return false }
        guard let second, position > firstCount else { return true }
        return memcmp(bytes + firstCount, second, position - firstCount) == 0
    }
}

extension SoftwareCPU: BlockExecution {
    /// What the jump cache knows: looking further would set accessed bits.
    package var nextBlockLength: Int {
        let cpu = CPU(state)
        let rip = state.pointee.rip
        let linear = cpu.in64BitMode ? rip : (rip &+ state.pointee.segments.1.base) & 0xffff_ffff
        return jumpCache.find(linear, context: decodeContext).map { Int($0.pointee.count) } ?? 1
    }
}
