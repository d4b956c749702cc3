// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Cli.Common;

/// <summary>Writes whole results to stdout.</summary>
internal static class Output
{
    public static void Write(Terminal terminal, MemoryStream bytes)
    {
        terminal.Out.Flush();
        using Stream output = Console.OpenStandardOutput();
        bytes.WriteTo(output);
        output.Flush();
    }
}
