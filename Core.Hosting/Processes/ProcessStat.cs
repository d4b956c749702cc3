// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text;

namespace PasidFramework.Hosting.Processes;

/// <summary>The fields of <c>/proc/PID/stat</c> that distinguish processes and programs. Source:
/// proc_pid_stat(5).</summary>
/// <param name="Name">Field 2, without its parentheses.</param>
/// <param name="State">Field 3.</param>
/// <param name="Flags">Field 9: the kernel's PF_* flags.</param>
/// <param name="StartTime">Field 22, in clock ticks since boot.</param>
/// <param name="VirtualBytes">Field 23: 0 without user memory.</param>
/// <param name="Image">Where its program lies.</param>
internal readonly record struct ProcessStat(
    string Name, char State, uint Flags, ulong StartTime, ulong VirtualBytes, ProgramImage Image)
{
    private const uint KernelThreadFlag = 0x0020_0000;

    // Positions after the name, so field 3 is 0.
    private const int StateIndex = 0;
    private const int FlagsIndex = 6;
    private const int StartTimeIndex = 19;
    private const int VirtualBytesIndex = 20;
    private const int StartCodeIndex = 23;
    private const int EndCodeIndex = 24;
    private const int StartStackIndex = 25;
    private const int StartDataIndex = 42;
    private const int EndDataIndex = 43;
    public bool IsKernelThread => (Flags & KernelThreadFlag) != 0;

    /// <summary>Exited and not yet waited for (Z), or on its very last steps (X).</summary>
    public bool IsDead => State is 'Z' or 'X' or 'x';

    public static bool TryParse(ReadOnlySpan<byte> line, out ProcessStat stat)
    {
        stat = default;

        // The name is the program's to choose: it may hold spaces, parentheses and line ends, but nothing after it
        // does.
        int open = line.IndexOf((byte)'(');
        int close = line.LastIndexOf((byte)')');
        if (open < 0 || close < open)
        {
            return false;
        }

        string name = Encoding.UTF8.GetString(line[(open + 1)..close]);
        string[] fields = Encoding.ASCII.GetString(line[(close + 1)..])
            .Split([' ', '\n'], StringSplitOptions.RemoveEmptyEntries);
        if (fields.Length <= EndDataIndex
            || fields[StateIndex].Length != 1
            || !uint.TryParse(fields[FlagsIndex], NumberStyles.None, CultureInfo.InvariantCulture, out uint flags)
            || !TryNumber(fields, StartTimeIndex, out ulong startTime)
            || !TryNumber(fields, VirtualBytesIndex, out ulong virtualBytes)
            || !TryNumber(fields, StartCodeIndex, out ulong startCode)
            || !TryNumber(fields, EndCodeIndex, out ulong endCode)
            || !TryNumber(fields, StartStackIndex, out ulong startStack)
            || !TryNumber(fields, StartDataIndex, out ulong startData)
            || !TryNumber(fields, EndDataIndex, out ulong endData))
        {
            return false;
        }

        stat = new ProcessStat(
            name,
            fields[StateIndex][0],
            flags,
            startTime,
            virtualBytes,
            new ProgramImage(startCode, endCode, startStack, startData, endData));
        return true;
    }

    private static bool TryNumber(string[] fields, int index, out ulong value) =>
        ulong.TryParse(fields[index], NumberStyles.None, CultureInfo.InvariantCulture, out value);
}

/// <summary>
/// Where the program of an address space lies. Executing a program places it anew, at addresses that the kernel
/// randomises; a fork copies it and threads share it. Fields that a process can change while it runs (its break and the
/// places of arguments and environment, which tools that rename themselves move) are not in it.
/// </summary>
internal readonly record struct ProgramImage(
    ulong StartCode, ulong EndCode, ulong StartStack, ulong StartData, ulong EndData)
{
    /// <summary>The kernel shows 1, 1 and zeros where it does not permit an inspection (ptrace access, read).</summary>
    public bool IsHidden => StartCode == 1 && EndCode == 1 && StartStack == 0;

    /// <summary>An exec has replaced the memory and not yet placed the program in it.</summary>
    public bool IsIncomplete => !IsHidden
        && (StartCode == 0 || EndCode == 0 || StartStack == 0 || StartData == 0 || EndData == 0);
}
