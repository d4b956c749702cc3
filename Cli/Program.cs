// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;
using PasidFramework.Cli;

var terminal = new Terminal();
using var interrupted = new CancellationTokenSource();

// The first signal ends the work cleanly; a second one is for those who do not want to wait.
void Interrupt(PosixSignalContext context)
{
    if (!interrupted.IsCancellationRequested)
    {
        context.Cancel = true;
        interrupted.Cancel();
    }
}

using PosixSignalRegistration onInterrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Interrupt);
using PosixSignalRegistration onTerminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Interrupt);
return PasidCtl.Run(args, terminal, interrupted.Token);
