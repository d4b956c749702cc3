// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Cli.Common;

/// <summary>
/// A file that appears under its name only when it is complete: it is written beside it and renamed, and removed if
/// anything goes wrong before. A symbolic link stays one; a pipe or a device is written to as it comes, since it has no
/// content to replace.
/// </summary>
internal sealed class PendingFile(string path, string? temporary, FileStream stream) : IDisposable
{
    private bool _isClosed;

    public Stream Stream => stream;

    /// <param name="option">The option that names it, for messages.</param>
    /// <exception cref="UsageException">It cannot be written there.</exception>
    public static PendingFile Create(string option, string path)
    {
        string full = Path.GetFullPath(path);
        if (Directory.Exists(full))
        {
            throw new UsageException($"{option}: {path} is a directory; expected a file");
        }

        try
        {
            full = new FileInfo(full).LinkTarget is null
                ? full
                : File.ResolveLinkTarget(full, returnFinalTarget: true)!.FullName;
            if (FileType.IsSpecial(full))
            {
                return new PendingFile(full, null, new FileStream(full, FileMode.Open, FileAccess.Write));
            }

            string temporary = $"{full}.{Environment.ProcessId}.part";
            return new PendingFile(full, temporary, new FileStream(
                temporary, FileMode.Create, FileAccess.Write, FileShare.Read, 1 << 16));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"{option}: {path} cannot be written: {e.Message}");
        }
    }

    /// <summary>Gives the complete file its name.</summary>
    public void Commit()
    {
        stream.Dispose();
        if (temporary is not null)
        {
            File.Move(temporary, path, overwrite: true);
        }

        _isClosed = true;
    }

    public void Dispose()
    {
        if (_isClosed)
        {
            return;
        }

        _isClosed = true;
        stream.Dispose();
        if (temporary is not null)
        {
            File.Delete(temporary);
        }
    }
}
