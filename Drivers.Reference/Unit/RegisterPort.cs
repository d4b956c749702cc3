// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Allocation;

namespace PasidFramework.Drivers.Reference.Unit;

/// <summary>
/// Everything that the driver asks of the hardware through registers and waits for: switching it, and commands.
/// </summary>
/// <remarks>Safe for concurrent use. Stores that a command is about must be published before it.</remarks>
internal sealed class RegisterPort(IRegisterFile registers, string unit, PollTimeout timeout)
{
    private SpinGate _gate;
    private long _commands;

    /// <summary>Commands so far.</summary>
    public long Commands => Interlocked.Read(ref _commands);

    /// <summary>Switches translation and waits until the hardware has done so.</summary>
    /// <returns>Success; ETIMEDOUT.</returns>
    public OpResult Switch(bool on)
    {
        ulong wanted = on ? 1UL : 0;
        registers.Write64(Registers.CONTROL, 0UL.With(Control.ENABLE, wanted));
        return TryWait(Registers.CONTROL, Control.ENABLED, wanted, out _)
            ? OpResult.Ok
            : OpResult.Refuse(Errno.ETIMEDOUT, $"{unit}: CONTROL.ENABLED did not become {wanted} in {timeout.Limit}");
    }

    /// <summary>Runs one command and waits until it has taken effect.</summary>
    /// <returns>Success; ETIMEDOUT where that was not confirmed; EIO where the hardware refused it.</returns>
    public OpResult Run(Command command)
    {
        _gate.Enter();
        try
        {
            // One that was given up may be running still, and COMMAND_1 must not be written then.
            if (!TryWait(Registers.COMMAND_STATUS, CommandStatus.DONE, 1, out _))
            {
                return OpResult.Refuse(
                    Errno.ETIMEDOUT, $"{unit}: an earlier command is running still after {timeout.Limit}");
            }

            registers.Write64(Registers.COMMAND_0, command.Word0);
            registers.Write64(Registers.COMMAND_1, command.Word1);
            Interlocked.Increment(ref _commands);
            return !TryWait(Registers.COMMAND_STATUS, CommandStatus.DONE, 1, out ulong status)
                ? OpResult.Refuse(Errno.ETIMEDOUT, $"{unit}: command {command} did not complete in {timeout.Limit}")
                : status.Has(CommandStatus.ERROR)
                    ? OpResult.Refuse(Errno.EIO, $"{unit}: the hardware refused command {command}")
                    : OpResult.Ok;
        }
        finally
        {
            _gate.Exit();
        }
    }

    private bool TryWait(int register, Field bit, ulong wanted, out ulong value)
    {
        PollBudget budget = timeout.Start();
        do
        {
            value = registers.Read64(register);
            if (value.Get(bit) == wanted)
            {
                return true;
            }
        }
        while (budget.TrySpend());
        return false;
    }
}
