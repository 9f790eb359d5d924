// Where a direct jump leads while it is not linked: to the dispatcher, with the number of its link.

import CPrimitives

extension BlockEncoder {
    /// Leads an edge to a stub of its own, which is emitted here; returns where that begins. A lookup has none.
    mutating func emitStub(_ edge: Edge, link number: Int32) -> UnsafeMutablePointer<UInt8> {
        let stub = code.cursor
        if edge.isLookup { return stub }
        HostAssembler.patch(edge.displacement, to: stub)
        code.leave(
            byLink: number, target: edge.target, isFollowed: isFollowed(edge), gates, flagsInHost: edge.flags.inHost)
        return stub
    }

    /// Whether an edge is looked up by a gate until it was taken often.
    func isFollowed(_ edge: Edge) -> Bool { edge.crossesPages && mode.width == 8 && mode.isUser }
}

extension HostAssembler {
    /// The way to the dispatcher.
    mutating func leave(
        byLink number: Int32, target: Int32, isFollowed: Bool, _ gates: CodeMemory.Gates, flagsInHost: Bool
    ) {
        move32(Host.address, immediate: UInt32(bitPattern: number))
        move32(
            Host.spare,
            immediate: UInt32(TZ_LEFT_BY_LINK) | UInt32(target & 0xfff) << UInt32(TZ_LEFT_OFFSET_SHIFT))
        if isFollowed {
            jump(to: flagsInHost ? gates.follow : gates.followSaved)
        } else {
            jump(to: flagsInHost ? gates.exit : gates.exitSaved)
        }
    }

    /// What takes its place, one byte shorter, for a jump that is linked to a trace that inherits its flags.
    mutating func bequeathFlags(ofLink number: Int32, to entry: UnsafePointer<UInt8>) {
        store32(immediate: Link.source(Int(number)), .memory(Host.state, StateLayout.flagSource))
        jump(to: entry)
    }
}
