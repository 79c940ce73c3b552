import RaftKV
import Testing

@Suite("SocketAddress")
struct SocketAddressTests {
  @Test(
    "an address is described as it is written",
    arguments: ["127.0.0.1", "0.0.0.0", "255.255.255.255", "::1", "::", "2001:db8::7"])
  func description(host: String) throws {
    let address = try #require(SocketAddress(numeric: host, port: 8079))
    #expect(address.port == 8079)
    #expect(address.description == (host.contains(":") ? "[\(host)]:8079" : "\(host):8079"))
  }

  @Test(
    "names are not addresses", arguments: ["localhost", "", "1.2.3", "1.2.3.256", "[::1]", "::g"])
  func names(host: String) {
    #expect(SocketAddress(numeric: host, port: 1) == nil)
  }

  @Test("equal means the same family, address and port")
  func equality() {
    let address = SocketAddress(numeric: "10.0.0.7", port: 1)
    #expect(address == SocketAddress(numeric: "10.0.0.7", port: 1))
    #expect(address != SocketAddress(numeric: "10.0.0.7", port: 2))
    #expect(address != SocketAddress(numeric: "10.0.0.8", port: 1))
    #expect(SocketAddress(numeric: "0.0.0.0", port: 1) != SocketAddress(numeric: "::", port: 1))
  }
}
