// Node's own HTTP server, for test_client_servers.py. Prints its port when it listens.
const http = require("node:http");

const server = http.createServer((request, response) => {
  const body = [];
  request.on("data", (piece) => body.push(piece));
  request.on("end", () => {
    const sent = Buffer.concat(body);
    if (request.url === "/stream") {
      response.writeHead(200, { "Content-Type": "text/event-stream", "Trailer": "X-Sum" });
      let count = 0;
      const timer = setInterval(() => {
        response.write(`data: ${count}\n\n`);
        if (++count === 5) {
          clearInterval(timer);
          response.addTrailers({ "X-Sum": "5" });
          response.end();
        }
      }, 1);
    } else if (request.url === "/hang") {
      response.on("close", () => console.log("left"));
      response.writeHead(200);
      response.write("data: 0\n\n");
    } else if (request.url === "/hints") {
      response.writeEarlyHints({ link: "</x>; rel=preload" }, () => response.end("hello"));
    } else if (request.url === "/destroy") {
      response.writeHead(200);
      response.write("data: 0\n\n", () => response.destroy());
    } else {
      response.end(JSON.stringify({ length: sent.length, headers: request.headers }));
    }
  });
});
server.keepAliveTimeout = 100; // ms; 5 s by default, the shortest of all servers in common use
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
