// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.TestKit;

/// <summary>What the suites have in common.</summary>
internal static class Suite
{
    /// <exception cref="SuiteFailedException">They differ.</exception>
    public static void Expect<T>(T expected, T found, InvariantText what, string? subject = null)
    {
        if (!EqualityComparer<T>.Default.Equals(expected, found))
        {
            string of = subject is null ? string.Empty : $"{subject}: ";
            throw new SuiteFailedException(Text($"{of}{Text(what)}: expected {expected}, found {found}"));
        }
    }

    /// <exception cref="SuiteFailedException">Nothing is thrown.</exception>
    public static void Throws<TException>(Action action, InvariantText otherwise)
        where TException : Exception
    {
        try
        {
            action();
        }
        catch (TException)
        {
            return;
        }

        throw new SuiteFailedException(Text(otherwise));
    }

    public static T Must<T>(OpResult<T> result)
    {
        Must(result.Outcome);
        return result.Value!;
    }

    public static void Must(OpResult result)
    {
        if (!result.IsOk)
        {
            throw new SuiteFailedException(result.ToString());
        }
    }
}

/// <summary>A process that is only a number and a page table.</summary>
internal sealed class SuiteProcess(int number, ulong root) : IAddressSpace
{
    public AddressSpaceId Id => new((ulong)number);
    public int Pid => number;
    public string Name => Text($"process {number}");
    public bool IsAlive => true;
    public ulong PageTableRoot => root;
}
