import sys

from espectra_report.main import main

sys.exit(main())
