// Temporary: signatures that other parts supply. Each owner deletes its lines when the real thing lands.
import CPrimitives

// system
struct CPUModel { init?(named: String) { nil }; static let names: [String] = []; func has(_ feature: CPUFeature) -> Bool { true } }
enum CPUFeature { case lzcnt, bmi1, popcnt, movbe, adx, sse42, cx16, cx8, cmov }
extension CPU { func systemFlagsChanged() {} }
extension CPU {
    func checkedLinearAddress(_ offset: UInt64, segment: UInt8, size: Int, _ access: Access) throws(GuestFault) -> UInt64 { 0 }
    func loadSlow(_ linear: UInt64, size: Int) throws(GuestFault) -> UInt64 { 0 }
    func storeSlow(_ linear: UInt64, size: Int, value: UInt64) throws(GuestFault) {}
    func modifySlow<T: GuestInteger>(_ type: T.Type, _ linear: UInt64, locked: Bool, _ body: (T) throws(GuestFault) -> T) throws(GuestFault) {}
}
func systemHandler(_ i: UnsafeMutablePointer<tz_instruction>) -> tz_handler? { nil }
// native
func nativeHandler(_ i: UnsafeMutablePointer<tz_instruction>, model: CPUModel) -> tz_handler? { nil }
