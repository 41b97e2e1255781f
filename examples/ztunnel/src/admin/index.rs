//! The page that a person sees first.

/// Links to what there is to see, and commands for the rest.
pub(super) const PAGE: &str = r#"<!doctype html>
<html lang="en">
<title>ztunnel</title>
<style>body{font-family:sans-serif;max-width:48em;margin:2em auto}td{padding:.3em 1em .3em 0}</style>
<h1>ztunnel</h1>
<table>
<tr><td><a href="/config_dump">/config_dump</a><td>the mesh, policies, certificates and settings, as JSON
<tr><td>/debug/explain<td>what would happen to a connection, and why
<tr><td>POST /logging<td>what is logged
<tr><td>POST /logging?level=info,access=debug<td>change it: a level, and levels for scopes
<tr><td>POST /logging?reset<td>back to what it was at the start
<tr><td>POST /quitquitquit<td>finish the connections and exit
</table>
<form action="/debug/explain">
<p>A connection from <input name="src" placeholder="10.0.0.1 or ns/client" required>
to <input name="dst" placeholder="10.0.0.2:80 or web.example.org:80" required>
<button>explain</button>
</form>
<p>Metrics are at port 15020, <code>/metrics</code>; readiness is at port 15021, <code>/healthz/ready</code>,
unless they were moved.
</html>
"#;
