from proxyctl.cli import main

main()
