-- A database as Uptime Kuma 2 has it: the tables and columns that are read, and some that are not.
CREATE TABLE user (id INTEGER PRIMARY KEY, username VARCHAR(255) NOT NULL, password VARCHAR(255));
CREATE TABLE proxy (
    id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL, protocol VARCHAR(10) NOT NULL, host VARCHAR(255) NOT NULL,
    port SMALLINT NOT NULL, auth BOOLEAN NOT NULL, username VARCHAR(255), password VARCHAR(255),
    active BOOLEAN NOT NULL DEFAULT 1, "default" BOOLEAN NOT NULL DEFAULT 0
);
CREATE TABLE monitor (
    id INTEGER PRIMARY KEY, name VARCHAR(150), active BOOLEAN NOT NULL DEFAULT 1, user_id INTEGER,
    interval INTEGER NOT NULL DEFAULT 20, url TEXT, type VARCHAR(20), weight INTEGER DEFAULT 2000,
    hostname VARCHAR(255), port INTEGER, created_date DATETIME NOT NULL DEFAULT '2026-01-01 00:00:00',
    keyword VARCHAR(255), maxretries INTEGER NOT NULL DEFAULT 0, ignore_tls BOOLEAN NOT NULL DEFAULT 0,
    upside_down BOOLEAN NOT NULL DEFAULT 0, maxredirects INTEGER NOT NULL DEFAULT 10,
    accepted_statuscodes_json TEXT NOT NULL DEFAULT '["200-299"]', dns_resolve_type VARCHAR(5),
    dns_resolve_server VARCHAR(255), dns_last_result VARCHAR(255), retry_interval INTEGER NOT NULL DEFAULT 0,
    push_token VARCHAR(32), method TEXT NOT NULL DEFAULT 'GET', body TEXT, headers TEXT, basic_auth_user TEXT,
    basic_auth_pass TEXT, docker_host INTEGER, docker_container VARCHAR(255), proxy_id INTEGER,
    expiry_notification BOOLEAN DEFAULT 1, auth_method VARCHAR(250), grpc_enable_tls BOOLEAN NOT NULL DEFAULT 0,
    resend_interval INTEGER NOT NULL DEFAULT 0, packet_size INTEGER NOT NULL DEFAULT 56, game VARCHAR(255),
    http_body_encoding VARCHAR(25), description TEXT, tls_ca TEXT, tls_cert TEXT, tls_key TEXT, parent INTEGER,
    invert_keyword BOOLEAN NOT NULL DEFAULT 0, json_path TEXT, expected_value VARCHAR(255),
    json_path_operator VARCHAR(255), oauth_client_id TEXT, oauth_client_secret TEXT, oauth_token_url TEXT,
    oauth_scopes TEXT, timeout DOUBLE NOT NULL DEFAULT 0, cache_bust BOOLEAN NOT NULL DEFAULT 0,
    conditions TEXT NOT NULL DEFAULT '[]', ip_family VARCHAR(4)
);
CREATE TABLE notification (
    id INTEGER PRIMARY KEY, name VARCHAR(255), active BOOLEAN NOT NULL DEFAULT 1, user_id INTEGER,
    is_default BOOLEAN NOT NULL DEFAULT 0, config TEXT
);
CREATE TABLE monitor_notification (id INTEGER PRIMARY KEY, monitor_id INTEGER NOT NULL, notification_id INTEGER NOT NULL);
CREATE TABLE tag (id INTEGER PRIMARY KEY, name VARCHAR(255) NOT NULL, color VARCHAR(255) NOT NULL);
CREATE TABLE monitor_tag (id INTEGER PRIMARY KEY, monitor_id INTEGER NOT NULL, tag_id INTEGER NOT NULL, value TEXT);
CREATE TABLE maintenance (
    id INTEGER PRIMARY KEY, title VARCHAR(150) NOT NULL, description TEXT NOT NULL, user_id INTEGER,
    active BOOLEAN NOT NULL DEFAULT 1, strategy VARCHAR(50) NOT NULL DEFAULT 'single', start_date DATETIME,
    end_date DATETIME, start_time TIME, end_time TIME, weekdays VARCHAR(250) DEFAULT '[]',
    days_of_month TEXT DEFAULT '[]', interval_day INTEGER, cron TEXT, timezone VARCHAR(255), duration INTEGER
);
CREATE TABLE monitor_maintenance (id INTEGER PRIMARY KEY, monitor_id INTEGER NOT NULL, maintenance_id INTEGER NOT NULL);
CREATE TABLE stat_daily (id INTEGER PRIMARY KEY, monitor_id INTEGER, timestamp INTEGER, ping FLOAT, up SMALLINT, down SMALLINT);
CREATE TABLE heartbeat (id INTEGER PRIMARY KEY, monitor_id INTEGER NOT NULL, status SMALLINT NOT NULL, time DATETIME NOT NULL);
CREATE TABLE setting (id INTEGER PRIMARY KEY, "key" VARCHAR(200) NOT NULL, value TEXT);

INSERT INTO user VALUES (1, 'admin', '$2a$10$hunter9');
INSERT INTO proxy VALUES
    (1, 1, 'http', 'proxy.example.org', 3128, 1, 'monitor', 'hunter2', 1, 0),
    (2, 1, 'socks5', 'socks.example.org', 1080, 0, NULL, NULL, 1, 0);
INSERT INTO monitor (id, name, type, interval) VALUES (1, 'Shop', 'group', 60);
INSERT INTO monitor (id, name, type, interval, url, maxretries, retry_interval, parent, timeout, accepted_statuscodes_json, resend_interval)
    VALUES (2, 'Checkout', 'http', 60, 'https://shop.example.org/health', 2, 20, 1, 48, '["200-299","304"]', 10);
INSERT INTO monitor (id, name, type, interval, url, keyword, invert_keyword, method, body, headers, http_body_encoding, parent)
    VALUES (3, 'Search', 'keyword', 30, 'https://shop.example.org/search', 'no results', 1, 'POST', '{"q": "a"}',
            '{"X-Api-Key": "hunter3", "Accept": "application/json"}', 'json', 1);
INSERT INTO monitor (id, name, type, interval, url, json_path, json_path_operator, expected_value, auth_method, basic_auth_user, basic_auth_pass)
    VALUES (4, 'Queue', 'json-query', 20, 'https://queue.example.org/api', '$.depth', '<', '1000', 'basic', 'monitor', 'hunter4');
INSERT INTO monitor (id, name, type, interval, url, json_path, json_path_operator, expected_value, proxy_id, expiry_notification)
    VALUES (5, 'Complex', 'json-query', 20, 'http://queue.example.org/sum', '$sum(items.price)', '==', '5', 1, 0);
INSERT INTO monitor (id, name, type, interval, hostname, port) VALUES (6, 'Database', 'port', 60, 'db.example.org', 5432);
INSERT INTO monitor (id, name, type, interval, hostname, port, dns_resolve_type, dns_resolve_server)
    VALUES (7, 'Names', 'dns', 60, 'www.example.org', 53, 'AAAA', '192.0.2.53,192.0.2.54');
INSERT INTO monitor (id, name, type, interval, push_token) VALUES (8, 'Backup job', 'push', 3600, 'hunter5');
INSERT INTO monitor (id, name, type, interval, hostname) VALUES (9, 'Router', 'ping', 60, '192.0.2.1');
INSERT INTO monitor (id, name, type, interval, url, upside_down) VALUES (10, 'Must be closed', 'http', 60, 'http://old.example.org/', 1);
INSERT INTO monitor (id, name, type, interval, url, active, ignore_tls, auth_method, oauth_token_url, oauth_client_id, oauth_client_secret, oauth_scopes, proxy_id, description, ip_family)
    VALUES (11, 'Orders', 'http', 60, 'https://orders.example.org/', 0, 1, 'oauth2-cc', 'https://login.example.org/token', 'monitor',
            'hunter6', 'orders.read', 2, 'the old one', 'ipv4');
INSERT INTO notification (id, name, config) VALUES
    (1, 'Ops Chat', '{"name":"Ops Chat","type":"slack","isDefault":true,"slackwebhookURL":"https://hooks.slack.example/hunter7"}'),
    (2, 'Phone', '{"name":"Phone","type":"ntfy","ntfyserverurl":"https://ntfy.example.org","ntfytopic":"ops","ntfyaccesstoken":"hunter8"}'),
    (3, 'Text', '{"name":"Text","type":"smseagle","smseagleUrl":"http://192.0.2.9"}');
INSERT INTO monitor_notification (monitor_id, notification_id) VALUES (2, 1), (2, 2), (3, 1), (4, 3);
INSERT INTO tag VALUES (1, 'prod', '#f00'), (2, 'team', '#0f0');
INSERT INTO monitor_tag (monitor_id, tag_id, value) VALUES (2, 1, ''), (2, 2, 'shop'), (3, 1, NULL);
INSERT INTO maintenance (id, title, description, strategy, start_time, end_time, weekdays, timezone)
    VALUES (1, 'Weekly', '', 'recurring-weekday', '22:30', '01:00', '[1,5]', 'Europe/Berlin');
INSERT INTO maintenance (id, title, description, strategy, cron, duration) VALUES (2, 'Nightly', '', 'cron', '30 3 * * *', 3600);
INSERT INTO maintenance (id, title, description, strategy) VALUES (3, 'By hand', '', 'manual');
INSERT INTO maintenance (id, title, description, strategy, start_date, end_date, timezone)
    VALUES (4, 'Once', '', 'single', '2099-12-01 22:00:00', '2099-12-02 02:00:00', 'UTC');
INSERT INTO monitor_maintenance (monitor_id, maintenance_id) VALUES (2, 1), (2, 2), (3, 3), (3, 4);
INSERT INTO stat_daily (monitor_id, timestamp, ping, up, down) VALUES (2, 1790000000, 12.5, 1440, 0), (2, 1790086400, 13.0, 1430, 10);
INSERT INTO heartbeat (monitor_id, status, time) VALUES (2, 1, '2026-11-01 00:00:00');
INSERT INTO setting ("key", value) VALUES ('jwtSecret', 'hunter1');
