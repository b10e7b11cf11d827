// What a server answers a hello with.

import { WebSocket as WsClient } from 'ws';
import { encodeFrame, FrameType, framesOf, valuesOf } from '../../src/bridge/protocol/frames.ts';
import { subprotocol } from '../../src/bridge/protocol/hello.ts';

/** The token that a user gets with the welcome. */
export async function userTokenOf(
  url: string,
  credentials: { username: string; password: string },
): Promise<string> {
  const socket = new WsClient(url, subprotocol);
  const message = new Promise<Buffer>((resolve, reject) => {
    socket.once('message', (data) => resolve(data as Buffer));
    socket.once('error', reject);
  });
  await new Promise((resolve) => socket.once('open', resolve));
  socket.send(
    encodeFrame(FrameType.Hello, 0, 0, {
      versions: [1],
      features: [],
      client: 'test',
      window: 1 << 20,
      credentials,
    }),
  );
  for (const frame of framesOf(await message)) {
    const [{ userToken }] = valuesOf(frame, 1) as [{ userToken: string }];
    socket.close();
    return userToken;
  }
  throw new Error('no welcome came');
}
