// Where in a block the vCPU is, exactly: how many instructions have retired and which one executes. The run loop counts
// whole blocks, so this is worked out when something asks: a device, a clock that counts instructions, a trace.

import CPrimitives

/// A place in the guest's code.
struct ExactPlace {
    /// Instructions retired before.
    var instructions: UInt64
    /// Offset in CS of the instruction that executes; between two instructions, of the next one.
    var rip: UInt64
}

extension CPU {
    /// The place now, within a handler or between two blocks.
    var exactPlace: ExactPlace {
        guard let first = state.pointee.block_start else {
            return ExactPlace(instructions: state.pointee.instructions, rip: rip)
        }
        // RIP is that of the next instruction, unless the one that executes has changed it already: that one ends the
        // block.
        var place = ExactPlace(instructions: state.pointee.instructions, rip: state.pointee.block_rip)
        var i = first
        for _ in 1..<Block.maximumCount {
            let next = place.rip &+ UInt64(i.pointee.length)
            if next == rip || i.pointee.flags & UInt8(TZ_INSN_ENDS_BLOCK) != 0 { break }
            place.instructions &+= 1
            place.rip = next
            i += 1
        }
        return place
    }

    /// Before anything that looks at the clock: a clock that counts instructions is set to the exact number.
    @inline(__always) func syncClock() {
        let owner = self.owner
        guard let time = owner.runningTime else { return }
        time.pointee = owner.timeBase &+ exactPlace.instructions
    }

    /// After anything that may have raised an interrupt or asked for a stop: the run loop looks before the next
    /// instruction, wherever the block ends.
    @inline(__always) func heedAttention() {
        if tz_atomic_load(&state.pointee.attention) != 0 { endBlock() }
    }
}
