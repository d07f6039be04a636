-- Two roles, to be made by a superuser:  psql -f roles.sql -v password="'…'" -v owner_password="'…'"
-- `latchkey_owner` owns the tables and migrates; nodes work as `latchkey`, which can do nothing but what they do.
CREATE ROLE latchkey_owner LOGIN PASSWORD :owner_password;
CREATE ROLE latchkey LOGIN PASSWORD :password;
CREATE DATABASE latchkey OWNER latchkey_owner ENCODING 'UTF8' TEMPLATE template0;

\connect latchkey
REVOKE ALL ON DATABASE latchkey FROM PUBLIC;
-- TEMPORARY: an import of users sends its rows to a table of its own first.
GRANT CONNECT, TEMPORARY ON DATABASE latchkey TO latchkey;
ALTER SCHEMA public OWNER TO latchkey_owner;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO latchkey;
-- For tables that migrations make from now on.
ALTER DEFAULT PRIVILEGES FOR ROLE latchkey_owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO latchkey;
ALTER DEFAULT PRIVILEGES FOR ROLE latchkey_owner IN SCHEMA public GRANT USAGE ON SEQUENCES TO latchkey;
