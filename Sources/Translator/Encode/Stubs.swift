// Where a direct jump leads while it is not linked: to the dispatcher, with the number of its link.

import CPrimitives

extension BlockEncoder {
    /// Leads an edge to a stub of its own, which is emitted here; returns where that begins.
    mutating func emitStub(_ edge: Edge, link number: Int32) -> UnsafeMutablePointer<UInt8> {
        let stub = code.cursor
        HostAssembler.patch(edge.displacement, to: stub)
        code.move32(Host.address, immediate: UInt32(bitPattern: number))
        code.move32(Host.spare, immediate: UInt32(TZ_LEFT_BY_LINK))
        code.jump(to: gates.exit)
        return stub
    }
}
