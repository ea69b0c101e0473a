<?php
$config = [];
$config['db_dsnw'] = 'sqlite:///@DIR@/roundcube.db?mode=0600';
$config['imap_host'] = '@IMAP@';
$config['des_key'] = '0123456789abcdef01234567';
$config['plugins'] = ['acl'];
$config['skin'] = 'elastic';
$config['language'] = 'en_US';
$config['enable_spellcheck'] = false;
$config['temp_dir'] = '@DIR@/temp';
$config['log_dir'] = '@DIR@/logs';
// Each line between Roundcube and the server goes to logs/imap.log.
$config['imap_debug'] = true;
