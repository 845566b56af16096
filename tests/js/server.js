const BEAT_S = 10;

/** The other end of each connection that the page opens, in order; a test says what it does. */
export class Server {
  opened = [];

  accept = () => {
    const peer = {
      heard: [],
      send: (text) => peer.heard.push(JSON.parse(text)),
      close: () => {
        peer.isAbandoned = true;
      },
      say: (frame) => peer.onmessage?.({ data: JSON.stringify(frame) }),
      leave: (code) => peer.onclose?.({ code }),
      greet: (extra = {}) =>
        peer.say({ type: "hello", v: 1, epoch: "e", seq: 1, beat_s: BEAT_S, now: new Date().toISOString(), ...extra }),
      answer: (sub = "1", seq = 1) => peer.say({ type: "snapshot", sub, epoch: "e", seq, runs: [], counts: {} }),
    };
    this.opened.push(peer);
    return peer;
  };

  get last() {
    return this.opened.at(-1);
  }
}
