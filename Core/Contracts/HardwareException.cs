// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Contracts;

/// <summary>A machine broke down: it did not start, hangs, died, or answers nonsense.</summary>
public class HardwareException : Exception
{
    /// <summary>With a message of one line: what, and what was seen.</summary>
    public HardwareException(string message)
        : base(message)
    {
    }

    /// <summary>With a message and what caused it.</summary>
    public HardwareException(string message, Exception inner)
        : base(message, inner)
    {
    }
}
