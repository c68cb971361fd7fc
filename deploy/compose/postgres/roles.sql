-- Run once, by the superuser, in a server that nobody else reaches yet: the owner of the tables, and the brokers' role.
-- The passwords are files of the server's account.
\set ON_ERROR_STOP on
\set owner_password `cat /run/assent/owner-password`
\set broker_password `cat /run/assent/broker-password`
CREATE ROLE assent_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE assent_broker LOGIN PASSWORD :'broker_password';
CREATE DATABASE assent OWNER assent_owner ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE assent FROM PUBLIC;
GRANT CONNECT ON DATABASE assent TO assent_broker;
