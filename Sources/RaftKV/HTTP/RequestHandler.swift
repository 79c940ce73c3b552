package protocol RequestHandler: AnyObject {
  func handle(_ request: ClientRequest, token: RequestToken) -> Disposition
}
