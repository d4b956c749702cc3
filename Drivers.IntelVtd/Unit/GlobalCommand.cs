// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Allocation;

namespace PasidFramework.Drivers.IntelVtd.Unit;

/// <summary>
/// The GCMD/GSTS protocol: one bit changes per write, the others repeat the status, the status answers. Intel VT-d,
/// D51397-018 (rev 5.10), Global Command and Global Status Registers.
/// </summary>
internal sealed class GlobalCommand(IRegisterFile registers, PollTimeout timeout)
{
    private SpinGate _gate;

    /// <summary>What is switched on now.</summary>
    public uint Status => registers.Read32(VtdRegisters.GSTS);

    /// <summary>Switches a function on or off and waits for the status to follow.</summary>
    public OpResult Switch(uint bit, bool on, string name) => Issue(bit, on, on ? bit : 0, name);

    /// <summary>Latches the root table address.</summary>
    public OpResult SetRootTable() => Issue(GlobalCommandBits.SRTP, true, GlobalCommandBits.SRTP, "SRTP");

    /// <summary>Flushes the hardware's write buffer; its status bit is 1 while that runs.</summary>
    public OpResult FlushWriteBuffer() => Issue(GlobalCommandBits.WBF, true, 0, "WBF");

    private OpResult Issue(uint bit, bool set, uint expected, string name)
    {
        _gate.Enter();
        try
        {
            uint others = Status & ~GlobalCommandBits.OneShot & ~bit;
            registers.Write32(VtdRegisters.GCMD, set ? others | bit : others);
            PollBudget budget = timeout.Start();
            while ((Status & bit) != expected)
            {
                if (!budget.TrySpend())
                {
                    return OpResult.Refuse(Errno.ETIMEDOUT,
                        $"GCMD.{name} was not answered within {timeout.Limit.TotalMilliseconds} ms (GSTS "
                            + $"0x{Status:x8})");
                }
            }

            return OpResult.Ok;
        }
        finally
        {
            _gate.Exit();
        }
    }
}
