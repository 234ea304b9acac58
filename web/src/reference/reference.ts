/** The API reference: Swagger UI on our own OpenAPI document. Everything comes from this server, so it works offline. */
import SwaggerUI from "swagger-ui-dist/swagger-ui-es-bundle.js";
import "swagger-ui-dist/swagger-ui.css";
import { adoptTokenFromUrl, readToken } from "../api/token";

adoptTokenFromUrl();

SwaggerUI({
  dom_id: "#reference",
  url: "v1/openapi.json",
  deepLinking: true,
  docExpansion: "list",
  // The badge is an image of another server.
  validatorUrl: null,
  // What the dashboard may ask, "Try it out" may ask as well.
  requestInterceptor: (request) => {
    const token = readToken();
    if (token !== null) request.headers["Authorization"] ??= `Bearer ${token}`;
    return request;
  },
});
