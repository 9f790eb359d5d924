// VGATHER and VPGATHER: loads of elements at vector indices, element by element. What was loaded before a fault stays,
// with its mask element cleared, so that the instruction goes on where it stopped (SDM volume 2, VGATHERDPD).

import CPrimitives

/// The handler of a gather: 90…93, bit 0 of the opcode: 64-bit indices, W: 64-bit elements. The destination, the mask
/// and the index must be three different registers.
func gatherHandler(_ i: UnsafeMutablePointer<tz_instruction>) -> tz_handler? {
    let index = i.pointee.vectorIndex
    let reg = i.pointee.reg
    let mask = i.pointee.vvvv
    // Only a SIB byte can name an index; 16-bit addressing has none.
    guard i.pointee.modrm & 7 == 4, i.pointee.address_mask != 0xffff, reg != mask, reg != index, mask != index else {
        return raiseNotOffered
    }
    i.pointee.width = i.pointee.rex & 8 != 0 ? 8 : 4
    return gather
}

extension tz_instruction {
    /// The vector register that SIB.index names: the decoder keeps it as it keeps general registers, and 4 as none.
    fileprivate var vectorIndex: UInt8 { index == UInt8(TZ_ZERO_OFFSET) ? 4 : index >> 3 }
}

private let gather: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in
        try cpu.passGates(i)
        let element = Int(i.pointee.width)
        let indexSize = i.pointee.opcode & 1 != 0 ? 8 : 4
        let size = i.pointee.prefixes & UInt8(TZ_PREFIX_VEX_L) != 0 ? 32 : 16
        let count = size / max(element, indexSize)
        let indices = cpu.vector(i.pointee.vectorIndex)
        let mask = cpu.vector(i.pointee.vvvv)
        let destination = cpu.vector(i.pointee.reg)
        let base = cpu.register(i.pointee.base, as: UInt64.self)
        let displacement = UInt64(bitPattern: Int64(i.pointee.displacement))
        // The mask is all ones or all zeros per element from here on.
        for n in 0..<count {
            let sign = mask.load(fromByteOffset: (n + 1) * element - 1, as: UInt8.self) >= 0x80
            (mask + n * element).initializeMemory(as: UInt8.self, repeating: sign ? 0xff : 0, count: element)
        }
        for n in 0..<count where mask.load(fromByteOffset: n * element, as: UInt8.self) != 0 {
            let index =
                indexSize == 8
                ? indices.load(fromByteOffset: n * 8, as: UInt64.self)
                : UInt64(bitPattern: Int64(indices.load(fromByteOffset: n * 4, as: Int32.self)))
            let offset = (base &+ index << UInt64(i.pointee.scale) &+ displacement) & i.pointee.address_mask
            let linear = try cpu.linearAddress(offset, segment: i.pointee.segment, size: element, .read)
            if element == 8 {
                destination.storeBytes(of: try cpu.load(UInt64.self, linear), toByteOffset: n * 8, as: UInt64.self)
            } else {
                destination.storeBytes(of: try cpu.load(UInt32.self, linear), toByteOffset: n * 4, as: UInt32.self)
            }
            (mask + n * element).initializeMemory(as: UInt8.self, repeating: 0, count: element)
        }
        // What lies above the last element is cleared, in the mask too.
        let used = count * element
        (mask + used).initializeMemory(as: UInt8.self, repeating: 0, count: 32 - used)
        (destination + used).initializeMemory(as: UInt8.self, repeating: 0, count: 32 - used)
    }
}
