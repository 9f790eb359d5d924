// Finding the block at the current RIP: jump cache, else page walk and code cache, else decoding.

import CPrimitives

extension SoftwareCPU {
    /// The block at the current RIP. Throws the fault of fetching it.
    @inline(__always) func currentBlock() throws(GuestFault) -> UnsafeMutablePointer<Block> {
        let cpu = CPU(state)
        let linear = cpu.in64BitMode
            ? state.pointee.rip : (state.pointee.rip &+ state.pointee.segments.1.base) & 0xffff_ffff
        let context = decodeContext
        if let block = jumpCache.find(linear, context: context) { return block }
        return try findBlock(linear, context: context)
    }

    /// What a block's code depends on besides its bytes (low 4 bits), and who may fetch it (the TLB context).
    @inline(__always) private var decodeContext: UInt64 {
        let cpu = CPU(state)
        let mode = UInt64(state.pointee.code_width) | (cpu.realOrVirtual8086 ? 1 : 0)
        return mode | UInt64(state.pointee.tlb_context) << 4
    }

    @inline(never)
    private func findBlock(_ linear: UInt64, context: UInt64) throws(GuestFault) -> UnsafeMutablePointer<Block> {
        let cpu = CPU(state)
        let fetched = try cpu.fetchPointer(linear)
        let mode = UInt8(context & 15)
        if let block = codeCache.find(fetched.physical, mode: mode) {
            if block.pointee.secondPage == Block.noPage { return remember(block, linear, context) }
            // The mapping of the second page may have changed since.
            let second = try cpu.fetchPointer(nextPage(linear))
            if second.physical >> 12 == block.pointee.secondPage { return remember(block, linear, context) }
            codeCache.removePage(block.pointee.secondPage)
            jumpCache.flush()
        }
        return remember(try buildBlock(linear, fetched, mode: mode), linear, context)
    }

    private func remember(
        _ block: UnsafeMutablePointer<Block>, _ linear: UInt64, _ context: UInt64
    ) -> UnsafeMutablePointer<Block> {
        jumpCache.insert(block, at: linear, context: context)
        return block
    }

    private func nextPage(_ linear: UInt64) -> UInt64 {
        let next = (linear | 0xfff) &+ 1
        return CPU(state).in64BitMode ? next : next & 0xffff_ffff
    }

    /// Decodes from `linear` to the end of the block: a branch, an instruction that may change how to go on, the end of
    /// the page, or `Block.maximumCount` instructions.
    private func buildBlock(
        _ linear: UInt64, _ fetched: FetchPage, mode: UInt8
    ) throws(GuestFault) -> UnsafeMutablePointer<Block> {
        if codeCache.room() == nil { forgetAllCode() }
        let cpu = CPU(state)
        let instructions = codeCache.room().unsafelyUnwrapped
        let decodeMode = DecodeMode(codeWidth: state.pointee.code_width, realOrVirtual8086: cpu.realOrVirtual8086)
        let available = 4096 - Int(linear & 0xfff)
        var secondPage = Block.noPage
        var offset = 0
        var count = 0
        while count < Block.maximumCount, offset < available {
            let out = instructions + count
            let outcome = decode(fetched.host + offset, count: available - offset, mode: decodeMode, into: out)
            if outcome == .complete {
                offset += Int(out.pointee.length)
            } else if outcome == .tooLong || count > 0 {
                // Left to a block of its own, whose fetch may fault.
                if count > 0 { break }
                throw .generalProtection()
            } else {
                let second = try cpu.fetchPointer(nextPage(linear))
                guard decodeAcrossPages(fetched.host, available, second.host, decodeMode, into: out) else {
                    throw .generalProtection()
                }
                secondPage = second.physical >> 12
                offset += Int(out.pointee.length)
            }
            out.pointee.handler = selectHandler(out)
            count += 1
            if out.pointee.flags & UInt8(TZ_INSN_ENDS_BLOCK) != 0 { break }
        }
        state.pointee.counters.blocks_decoded += 1
        let new = Block(
            address: fetched.physical, mode: mode, valid: true, count: UInt16(count), size: UInt16(offset),
            secondPage: secondPage, instructions: instructions)
        let (block, first, firstOfSecond) = codeCache.insert(new)
        if first { protectCodePage(fetched.physical) }
        if firstOfSecond { protectCodePage(secondPage << 12) }
        return block
    }

    /// Decodes the one instruction whose bytes begin in one page and end in the next.
    private func decodeAcrossPages(
        _ first: UnsafePointer<UInt8>, _ firstCount: Int, _ second: UnsafePointer<UInt8>, _ mode: DecodeMode,
        into out: UnsafeMutablePointer<tz_instruction>
    ) -> Bool {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32) { bytes in
            for index in 0..<15 {
                bytes[index] = index < firstCount ? first[index] : second[index - firstCount]
            }
            guard let start = bytes.baseAddress else { return false }
            return decode(start, count: 15, mode: mode, into: out) == .complete
        }
    }

    private func selectHandler(_ i: UnsafeMutablePointer<tz_instruction>) -> tz_handler {
        if i.pointee.mnemonic == Mnemonic.invalid.rawValue { return raiseInvalidOpcode }
        return integerHandler(i, model: vm.model) ?? systemHandler(i) ?? nativeHandler(i, model: vm.model)
            ?? raiseInvalidOpcode
    }
}

/// The handler of everything that is no instruction.
private let raiseInvalidOpcode: tz_handler = { state, _ in
    execute(state) { _ throws(GuestFault) in throw .invalidOpcode }
}
